"""The backend of mozilla-django-oidc, which keeps the pair that it logs in with."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from mozilla_django_oidc import auth  # type: ignore[import-untyped]

from jwt_outbound.conf import get_service
from jwt_outbound.faults import discreet
from jwt_outbound.logins.arrival import answer_of, is_worth_storing, store_token_response
from jwt_outbound.obtained import Obtained, attach
from jwt_outbound.querysets import database_now


class OIDCAuthenticationBackend(auth.OIDCAuthenticationBackend):  # type: ignore[misc]
    """In AUTHENTICATION_BACKENDS in place of the library's own, or of your subclass its base.

    The pair is stored for the service in `OIDC_OUTBOUND_SERVICE`, when the login is done. Django
    makes a backend for each login, so it may hold what belongs to one.
    """

    _response: Mapping[str, Any] | None = None
    _sent_at = 0
    _is_new = False

    @discreet
    def authenticate(self, request: HttpRequest | None, **kwargs: Any) -> Any:
        """The user, who carries the pair to the end of the login."""
        try:
            user = super().authenticate(request, **kwargs)
            if user is not None and self._response is not None:
                self._hand_on(user, request, self._response)
        finally:
            self._response = None
        return user

    def get_token(self, payload: dict[str, Any]) -> Any:
        """The token endpoint's answer; not asked for where the pair could not be stored."""
        get_service(self._service())
        self._sent_at = database_now()
        self._response = super().get_token(payload)
        return self._response

    def create_user(self, claims: Mapping[str, Any]) -> Any:
        """A user who is rolled back leaves no pair to the next one with that primary key."""
        self._is_new = True
        return super().create_user(claims)

    def _service(self) -> str:
        return str(self.get_settings("OIDC_OUTBOUND_SERVICE"))

    def _hand_on(self, user: Any, request: Any, response: Mapping[str, Any]) -> None:
        service = self._service()
        if getattr(request, "user", None) == user:
            # The library renews a session without calling login(), also that of an inactive user.
            if user.is_active:
                store_token_response(user=user, service=service, response=response)
            return
        answer = answer_of(response)
        if answer is not None and is_worth_storing(answer, user, service):
            obtained = Obtained(
                service=service, answer=answer, sent_at=self._sent_at, by_a_new_user=self._is_new
            )
            attach(user, obtained)
