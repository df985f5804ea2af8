"""A Django project that logs users in by one library, with the settings of the how-to.

python -m tests.logins.portal --library django-allauth --provider URL --database FILE
"""

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from tests.issuer_server.process import announce, stop_with_parent
from tests.logins.page import INTRODUCTION, code

LIBRARY_SETTING = "LOGIN_LIBRARY"


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.logins.portal")
    parser.add_argument("--library", required=True, help="a chapter of the how-to")
    parser.add_argument("--provider", required=True)
    parser.add_argument("--database", type=Path, required=True, help="the SQLite file")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help="others, as JSON; null for none"
    )
    parser.add_argument("--with-parent", action="store_true", help="end when stdin ends")
    arguments = parser.parse_args()
    # The provider is served on the loopback without TLS.
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    _configure(arguments)
    _serve()


def _configure(arguments: argparse.Namespace) -> None:
    import django
    from django.conf import settings

    names = _own_settings(arguments.database)
    for chapter in (INTRODUCTION, arguments.library):
        exec(code(chapter, "settings.py", arguments.provider), names)  # noqa: S102
    if arguments.library == "django-allauth":
        names["MIDDLEWARE"].append("allauth.account.middleware.AccountMiddleware")
    names.update(arguments.settings)
    names.update(LOGIN_LIBRARY=arguments.library, LOGIN_PROVIDER=arguments.provider)
    given = {name: value for name, value in names.items() if name.isupper() and value is not None}
    settings.configure(**given)
    logging.getLogger("django").setLevel(logging.CRITICAL)
    django.setup()


def _own_settings(database: Path) -> dict[str, Any]:
    return {
        "SECRET_KEY": "only for tests on the loopback, 32 bytes and more",
        "ALLOWED_HOSTS": ["127.0.0.1"],
        "ROOT_URLCONF": "tests.logins.portal_urls",
        "LOGIN_REDIRECT_URL": "/",
        "INSTALLED_APPS": [
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "jwt_outbound",
        ],
        "MIDDLEWARE": [
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "jwt_outbound.middleware.OutboundMiddleware",
        ],
        "TEMPLATES": [
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
        ],
        "DATABASES": {
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": database,
                "OPTIONS": {"timeout": 20, "init_command": "PRAGMA journal_mode=WAL"},
            }
        },
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
        "USE_TZ": True,
        "LOGGING_CONFIG": None,
        # Not of interest here: pages that ask before they redirect, and mails.
        "SOCIALACCOUNT_LOGIN_ON_GET": True,
        "ACCOUNT_EMAIL_VERIFICATION": "none",
        "EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend",
    }


def _serve() -> None:
    from django.core.management import call_command
    from django.core.servers.basehttp import (
        ThreadedWSGIServer,
        WSGIRequestHandler,
        get_internal_wsgi_application,
    )

    call_command("migrate", verbosity=0, interactive=False)
    call_command("check", fail_level="WARNING", stdout=sys.stderr)
    server = ThreadedWSGIServer(("127.0.0.1", 0), WSGIRequestHandler)
    server.set_app(get_internal_wsgi_application())
    stop_with_parent(server)
    announce(server.server_address[1])
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    main()
