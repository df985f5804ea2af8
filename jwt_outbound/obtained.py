"""The pair that a user carries from `authenticate()` to the end of the login."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NoReturn, Self, final

from django.db import transaction

from jwt_outbound.issuers import Answer
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import alias
from jwt_outbound.transactions import only_a_test_case

ATTRIBUTE: Final = "_jwt_outbound_obtained"


@final
class Obtained:
    """A pair that an issuer has granted, until `user_logged_in` stores it. Never pickled."""

    __slots__ = ("_by_a_new_user", "_store")

    def __init__(self, *, service: str, answer: Answer, sent_at: int, by_a_new_user: bool) -> None:
        self._store = partial(
            TokenPair.objects.store_answer, service=service, answer=answer, sent_at=sent_at
        )
        self._by_a_new_user = by_a_new_user

    def store(self, user: Any) -> None:
        """Stores the pair as that of `user`."""
        store = partial(self._store, user=user)
        if self._by_a_new_user:
            once_certain(store, user._state.db)
        else:
            store()

    def __repr__(self) -> str:
        return "<Obtained>"

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "A user who has authenticated by TokenObtainBackend carries tokens until login() is "
            "called, and can't be pickled before that: keep the primary key instead."
        )


def attach(user: Any, obtained: Obtained) -> None:
    """Lets `user` carry the pair to the end of the login, which may need a second factor."""
    setattr(user, ATTRIBUTE, obtained)


def store_attached(user: Any) -> None:
    """Stores the pair that `user` carries, if any, and takes it off."""
    obtained = getattr(user, ATTRIBUTE, None)
    if obtained is None:
        return
    delattr(user, ATTRIBUTE)
    obtained.store(user)


def once_certain(write: Callable[[], Any], using: str) -> None:
    """Writes to the token tables what belongs to a change of users in the database `using`.

    With it where they share the transaction, else when it is committed: of a user who is rolled
    back nothing may stay, since the next one may get the same primary key.
    """
    if using == alias() or only_a_test_case(using):
        write()
    else:
        transaction.on_commit(write, using=using)
