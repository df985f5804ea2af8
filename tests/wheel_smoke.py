"""Uses the installed wheel as a stranger's project would; run by nox in an empty environment.

A script and not a test: it must see neither the checkout nor pytest. Each step that does not do
what it should ends it with an error.
"""

import importlib.util
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command

asked: list[str] = []


def refresh(refresh_token: str) -> tuple[str, str]:
    asked.append(refresh_token)
    return "access-2", "refresh-2"


def configure(folder: Path) -> None:
    settings.configure(
        SECRET_KEY="only-for-this-script-" * 3,
        USE_TZ=True,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "jwt_outbound"],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "db.sqlite3"}
        },
        JWT_OUTBOUND={
            "SERVICES": {
                "billing": {
                    "BASE_URL": "https://billing.example/api/",
                    "ISSUER": "jwt_outbound.issuers.CallableIssuer",
                    "OPTIONS": {"refresh": refresh},
                    "ON_REFUSAL": "reconnect",  # there are no sessions here to end
                }
            }
        },
    )
    django.setup()


def ensure(truth: bool, what: str) -> None:
    if not truth:
        sys.exit(f"wheel_smoke: {what}")
    print(f"wheel_smoke: ok: {what}")


def ensure_only_the_wheel_is_seen() -> None:
    import jwt_outbound

    ensure("site-packages" in str(jwt_outbound.__file__), "jwt_outbound comes from the wheel")
    for name in ("demo_project", "tests", "pytest"):
        ensure(importlib.util.find_spec(name) is None, f"{name} is not there")


def use_a_pair() -> None:
    from django.contrib.auth import get_user_model

    from jwt_outbound.models import TokenPair
    from jwt_outbound.tokens import fetch_valid_access_token

    user = get_user_model().objects.create_user("alice")
    pair = {"user": user, "service": "billing"}
    TokenPair.objects.store(**pair, access="access-0", refresh="refresh-0", expires_in=3600)
    ensure(fetch_valid_access_token("billing", user) == "access-0", "a stored token is read back")
    ensure(asked == [], "a good token is not refreshed")
    TokenPair.objects.store(**pair, access="access-1", refresh="refresh-1", expires_in=0)
    ensure(fetch_valid_access_token("billing", user) == "access-2", "an expired one is refreshed")
    ensure(fetch_valid_access_token("billing", user) == "access-2", "and the new pair is stored")
    ensure(asked == ["refresh-1"], "with one request to the issuer")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        configure(Path(folder))
        print(f"jwt-outbound {version('jwt-outbound')}, Django {django.__version__}", sys.version)
        ensure_only_the_wheel_is_seen()
        call_command("check", fail_level="WARNING")
        call_command("migrate", verbosity=0)
        call_command("makemigrations", check_changes=True, dry_run=True)
        use_a_pair()


if __name__ == "__main__":
    main()
