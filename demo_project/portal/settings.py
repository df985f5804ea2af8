"""Settings of the portal: what a Django project needs to call other services with jwt_outbound."""

from typing import Any

from demo_project import places

SECRET_KEY = "portal-demo: anybody can read this, so use it for nothing else"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "demo_project.portal.urls"
WSGI_APPLICATION = "demo_project.portal.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "jwt_outbound",
    "demo_project.portal",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "jwt_outbound.middleware.OutboundMiddleware",  # after those whose user and messages it uses
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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


def sqlite(name: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": places.directory() / name,
        # WAL: readers never wait for the writer. IMMEDIATE: a writer queues at BEGIN, where
        # SQLite honours the timeout, and not in the middle, where it fails at once.
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }


# SQLite has one writer per file. With a file of its own a new token pair is kept even while the
# request that needed it is in a transaction, and when that transaction is rolled back.
# On PostgreSQL and MariaDB one database does for both.
DATABASES = {"default": sqlite("portal.sqlite3"), "tokens": sqlite("tokens.sqlite3")}
DATABASE_ROUTERS = ["jwt_outbound.routers.TokenRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Users log in with their name and password at billing; the local admin is asked for second.
AUTHENTICATION_BACKENDS = [
    "jwt_outbound.backends.TokenObtainBackend",
    "django.contrib.auth.backends.ModelBackend",
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

BILLING_URL = places.billing_url()
JWT_OUTBOUND = {
    "SERVICES": {
        "billing": {
            "BASE_URL": f"{BILLING_URL}/api/",
            "ISSUER": "jwt_outbound.issuers.SimpleJWTIssuer",
            "OPTIONS": {
                "obtain_url": f"{BILLING_URL}/api/token/",
                "refresh_url": f"{BILLING_URL}/api/token/refresh/",
                "revoke_url": f"{BILLING_URL}/api/token/blacklist/",
            },
            "LOGIN": True,  # the service that TokenObtainBackend logs in at
        }
    },
    "DATABASE": "tokens",
    # "ENCRYPTION_KEYS": left out, so they are derived from SECRET_KEY. Set your own in production.
}
