"""Pairs made by this project's own djangorestframework-simplejwt, for a sibling service that
shares the signing key. No HTTP."""

from importlib.util import find_spec
from typing import Any

from django.core.checks import CheckMessage, Error
from django.views.decorators.debug import sensitive_variables

from jwt_outbound.issuers.answers import Answer
from jwt_outbound.issuers.issuer import Issuer


class LocalIssuer(Issuer):
    """Signs by the settings `SIMPLE_JWT`, so no pair need be stored first.

    Rotation and blacklist are as simplejwt's settings say. Its tables are written on the
    flight's connections, so that they survive the caller's rollback as the pair does.
    """

    makes_first_pair = True
    revokes = True

    @sensitive_variables()
    def exchange(self, refresh_token: str, deadline: float) -> Answer:
        """What `TokenRefreshView` would answer."""
        from rest_framework.exceptions import AuthenticationFailed
        from rest_framework_simplejwt.exceptions import TokenError
        from rest_framework_simplejwt.serializers import TokenRefreshSerializer

        try:
            pair = TokenRefreshSerializer().validate({"refresh": refresh_token})
        except TokenError:
            return Answer.refused("token_not_valid")
        except AuthenticationFailed:
            return Answer.refused("no_active_account")
        return Answer.granted(pair["access"], pair.get("refresh"))

    @sensitive_variables()
    def first_pair(self, user: Any, deadline: float) -> Answer:
        """What `TokenObtainPairView` would answer after a login."""
        from rest_framework_simplejwt.tokens import RefreshToken

        if user is None or not user.is_active:
            return Answer.refused("no_active_account")
        refresh = RefreshToken.for_user(user)
        return Answer.granted(str(refresh.access_token), str(refresh))

    @sensitive_variables()
    def revoke(self, refresh_token: str, deadline: float) -> Answer:
        """Blacklists the token, where the blacklist app is installed."""
        from rest_framework_simplejwt.exceptions import TokenError
        from rest_framework_simplejwt.tokens import RefreshToken

        try:
            token = RefreshToken(refresh_token)  # type: ignore[arg-type]
            if hasattr(token, "blacklist"):
                token.blacklist()
        except TokenError:
            pass
        return Answer.granted("")

    def check(self, service: str) -> list[CheckMessage]:
        """simplejwt must be there."""
        if find_spec("rest_framework_simplejwt") is not None:
            return []
        return [
            Error(
                f"Service {service!r} uses LocalIssuer, but djangorestframework-simplejwt is not "
                "installed.",
                hint="pip install djangorestframework-simplejwt",
                id="jwt_outbound.E023",
            )
        ]
