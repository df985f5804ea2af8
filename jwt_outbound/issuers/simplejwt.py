"""djangorestframework-simplejwt as the issuer: pairs by password, with or without rotation."""

from dataclasses import replace
from typing import ClassVar

from django.core.checks import CheckMessage
from django.views.decorators.debug import sensitive_variables

from jwt_outbound.issuers.answers import Answer, Meaning, Profile
from jwt_outbound.issuers.http import HTTPIssuer, check_urls

_NAMES = Profile(access_field="access", refresh_field="refresh", code_field="code")


class SimpleJWTIssuer(HTTPIssuer):
    """Speaks to `TokenObtainPairView`, `TokenRefreshView` and `TokenBlacklistView`."""

    profile: Profile = replace(
        _NAMES,
        refused_codes=frozenset({"token_not_valid", "password_changed"}),
        bare_401="deactivated",
    )
    login_profile: ClassVar[Profile] = replace(
        _NAMES, refused_codes=frozenset({"no_active_account"}), bare_401="credentials"
    )

    def __init__(
        self,
        *,
        refresh_url: str,
        obtain_url: str | None = None,
        revoke_url: str | None = None,
        username_field: str = "username",
    ) -> None:
        self._refresh_url = refresh_url
        self._obtain_url = obtain_url
        self._revoke_url = revoke_url
        self._username_field = username_field
        self.obtains_by_password = obtain_url is not None
        self.revokes = revoke_url is not None

    @sensitive_variables()
    def exchange(self, refresh_token: str, deadline: float) -> Answer:
        """`TokenRefreshView`; without ROTATE_REFRESH_TOKENS the old refresh token stays."""
        return self._post(self._refresh_url, seconds=deadline, json={"refresh": refresh_token})

    @sensitive_variables()
    def obtain(self, *, username: str, password: str, deadline: float) -> Answer:
        """`TokenObtainPairView`; a 401 with `detail` means wrong credentials."""
        if self._obtain_url is None:
            return Answer.misconfigured("no_obtain_url")
        if not username.strip() or not password.strip():
            # DRF would call that a malformed request: a 400 with errors for each field.
            return Answer.refused("no_active_account")
        body = {self._username_field: username, "password": password}
        return self._post(self._obtain_url, seconds=deadline, profile=self.login_profile, json=body)

    @sensitive_variables()
    def revoke(self, refresh_token: str, deadline: float) -> Answer:
        """`TokenBlacklistView`; a token that is not valid any more is revoked already."""
        if self._revoke_url is None:
            return Answer.misconfigured("no_revoke_url")
        answer = self._post(self._revoke_url, seconds=deadline, json={"refresh": refresh_token})
        over = answer.meaning is Meaning.REFUSED or (answer.status or 500) < 300
        return Answer.granted("") if over else answer

    def check(self, service: str) -> list[CheckMessage]:
        """The URLs must be URLs."""
        return check_urls(
            service,
            refresh_url=self._refresh_url,
            obtain_url=self._obtain_url,
            revoke_url=self._revoke_url,
        )
