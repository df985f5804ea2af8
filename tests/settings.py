"""Settings of the tests. `JWT_OUTBOUND_TEST_DB` chooses the database of the run."""

import os
from pathlib import Path
from typing import Any

import pymysql

pymysql.install_as_MySQLdb()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = BASE_DIR / "var" / "tests"
VAR.mkdir(parents=True, exist_ok=True)

ENGINE = os.environ.get("JWT_OUTBOUND_TEST_DB", "sqlite")


def _database(name: str) -> dict[str, Any]:
    if ENGINE == "postgresql":
        return {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "127.0.0.1",
            "USER": "postgres",
            "NAME": f"jwt_outbound_{name}",
        }
    if ENGINE == "mariadb":
        return {
            "ENGINE": "django.db.backends.mysql",
            "HOST": "127.0.0.1",
            "USER": "root",
            "NAME": f"jwt_outbound_{name}",
        }
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": VAR / f"{name}.sqlite3",
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
        # Two runs at once do not share a file.
        "TEST": {"NAME": VAR / f"test-{name}-{os.getpid()}.sqlite3"},
    }


DATABASES = {"default": _database("default"), "tokens": _database("tokens")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SECRET_KEY = "the tests have no secret, but HS256 wants 32 bytes"
DEBUG = False
USE_TZ = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.urls"
LOGIN_URL = "/login/"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "jwt_outbound",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "jwt_outbound.middleware.OutboundMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_URL = "/static/"

JWT_OUTBOUND: dict[str, Any] = {
    "SERVICES": {
        "billing": {
            "BASE_URL": "http://127.0.0.1:1/api/",
            "ISSUER": "jwt_outbound.issuers.SimpleJWTIssuer",
            "OPTIONS": {
                "obtain_url": "http://127.0.0.1:1/token/",
                "refresh_url": "http://127.0.0.1:1/token/refresh/",
                "revoke_url": "http://127.0.0.1:1/token/blacklist/",
            },
        }
    }
}
