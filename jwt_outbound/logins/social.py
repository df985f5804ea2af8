"""A step for the pipeline of social-auth-app-django."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from social_core.utils import setting_name

from jwt_outbound.faults import discreet
from jwt_outbound.logins.arrival import store_token_response


@discreet
def store_token_pair(
    backend: Any,
    response: Mapping[str, Any] | None = None,
    *args: Any,
    user: Any = None,
    **kwargs: Any,
) -> None:
    """The last step: stores the pair for the service in `SOCIAL_AUTH_<BACKEND>_OUTBOUND_SERVICE`.

    Read without social-auth's fallbacks: a name for all backends would hand one provider's tokens
    to the service of another. A user who is not active is not logged in, and so stores nothing.
    """
    service = getattr(settings, setting_name(backend.name, "OUTBOUND_SERVICE"), None)
    if service and user is not None and user.is_active:
        store_token_response(user=user, service=service, response=response or {})
