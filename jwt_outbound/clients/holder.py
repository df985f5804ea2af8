"""Whose token an auth object sends, and the copy of it that is kept between two calls."""

from typing import Any

from jwt_outbound.conf import get_service
from jwt_outbound.grants import Grant
from jwt_outbound.tokens import Call
from jwt_outbound.users import user_id_of


class TokenHolder:
    """What the auth classes of all HTTP libraries have in common."""

    def __init__(self, service: str, user: Any) -> None:
        get_service(service)
        self._service = service
        self._grant: Grant | None = None
        self._identify(user)

    def _identify(self, user: Any) -> None:
        self._user, self._user_id = user, user_id_of(user, self._service)

    def _trusted(self) -> Grant | None:
        """The copy in memory, while it may be used without a look at the row."""
        grant = self._grant
        return grant if grant is not None and grant.is_trusted() else None

    def _call(self, rejected: Grant | None = None) -> Call:
        """The way to a token; after a 401 to `rejected`, to another one if that was an expiry."""
        generation = None if rejected is None else rejected.generation
        return Call(self._service, self._user, rejected=generation)

    def _keep(self, grant: Grant) -> Grant:
        self._grant = grant
        return grant

    def forget(self) -> None:
        """Drops the copy in memory."""
        self._grant = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._service, self._user_id)
