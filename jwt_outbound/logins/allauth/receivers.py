"""What happens when django-allauth has logged somebody in, or connected an account."""

from collections.abc import Mapping
from typing import Any, Final

from allauth.account.signals import user_logged_in  # type: ignore[import-untyped]
from allauth.socialaccount.signals import (  # type: ignore[import-untyped]
    social_account_added,
    social_account_updated,
)
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from jwt_outbound.faults import discreet
from jwt_outbound.logins.arrival import store_token_response

SETTING: Final = "outbound_service"
"""In the `settings` of a provider's app."""
NO_REFRESH: Final = "outbound_no_refresh"
"""In the state of a login whose answer had no refresh token."""


def connect() -> None:
    """Called once all apps are loaded; again, it changes nothing."""
    social_account_updated.connect(note_missing_refresh)
    user_logged_in.connect(store_of_login)
    social_account_added.connect(store_of_connection)
    social_account_updated.connect(store_of_connection)


def note_missing_refresh(*, sociallogin: Any, **_: Any) -> None:
    """With SOCIALACCOUNT_STORE_TOKENS allauth then takes the one in its own table, which a
    refresh of ours may have spent long ago."""
    if sociallogin.token is not None and not sociallogin.token.token_secret:
        sociallogin.state[NO_REFRESH] = True


@discreet
def store_of_login(*, user: Any, sociallogin: Any = None, **_: Any) -> None:
    """When the login is done: who stops at a second factor has stored nothing."""
    if sociallogin is not None:
        _store(user, sociallogin)


@discreet
def store_of_connection(*, request: Any, sociallogin: Any, **_: Any) -> None:
    """Somebody who is logged in connects an account, for the first time or once more."""
    connects = sociallogin.state.get("process") == "connect"
    if connects and sociallogin.user == getattr(request, "user", None):
        _store(sociallogin.user, sociallogin)


@sensitive_variables()
def _store(user: Any, sociallogin: Any) -> None:
    service = _service(sociallogin)
    if service and sociallogin.token is not None:
        store_token_response(user=user, service=service, response=_response(sociallogin))


def _service(sociallogin: Any) -> Any:
    """Providers that are no OAuth have no app."""
    app = getattr(sociallogin.provider, "app", None)
    return app.settings.get(SETTING) if app is not None and app.settings else None


@sensitive_variables()
def _response(sociallogin: Any) -> Mapping[str, Any]:
    token = sociallogin.token
    ends = token.expires_at
    return {
        "access_token": token.token,
        "refresh_token": "" if sociallogin.state.get(NO_REFRESH) else token.token_secret,
        "expires_in": (ends - timezone.now()).total_seconds() if ends is not None else None,
    }
