"""Settings of billing, an ordinary djangorestframework-simplejwt service.

Nothing here knows of jwt_outbound: it is the other side.
"""

import os
from datetime import timedelta

from demo_project import places

SECRET_KEY = "billing-demo: anybody can read this, so use it for nothing else"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "demo_project.billing.urls"
WSGI_APPLICATION = "demo_project.billing.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework_simplejwt",
    "rest_framework_simplejwt.token_blacklist",
    "demo_project.billing",
]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": places.directory() / "billing.sqlite3",
        # WAL: readers never wait for the writer. IMMEDIATE: a writer queues at BEGIN, where
        # SQLite honours the timeout, and not in the middle, where it fails at once.
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["demo_project.billing.tokens.UnrevokedJWTAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
}
SIMPLE_JWT = {
    # Fifteen seconds, so that things happen while you watch.
    "ACCESS_TOKEN_LIFETIME": timedelta(seconds=places.access_seconds()),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "TOKEN_OBTAIN_SERIALIZER": "demo_project.billing.tokens.RevocableTokenSerializer",
}

# Outages and revocations at the press of a button: only when the demo command starts us.
DEMO_CONTROLS = os.environ.get(places.CONTROLS) == "1"
