"""A token endpoint's answer, as a login library hands it on, becomes the user's pair."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.views.decorators.debug import sensitive_variables

from jwt_outbound.ciphers import REFRESH, sealer
from jwt_outbound.exceptions import TokenPairUnreadable
from jwt_outbound.faults import discreet
from jwt_outbound.issuers import Answer
from jwt_outbound.issuers.wire import duration
from jwt_outbound.models import TokenPair
from jwt_outbound.obtained import once_certain
from jwt_outbound.rows import Reading
from jwt_outbound.users import user_id_of


@discreet
def store_token_response(*, user: Any, service: str, response: Mapping[str, Any]) -> None:
    """Stores the pair that a provider has granted to `user`, an instance that is saved.

    `response`: what its token endpoint said (RFC 6749 5.1). Without a refresh token in it a
    stored pair that can still be refreshed is left alone: many providers give one only at the
    first consent. Raises ValueError for tokens that no header can carry, `ServiceNotConfigured`.
    """
    answer = answer_of(response)
    if answer is not None and is_worth_storing(answer, user, service):
        store = partial(TokenPair.objects.store_answer, user=user, service=service, answer=answer)
        # The login may have made the user just now, in a transaction that can still fail.
        once_certain(store, user._state.db)


@sensitive_variables()
def answer_of(response: Mapping[str, Any]) -> Answer | None:
    """The pair in a token endpoint's answer; None where it brought no access token."""
    access = response.get("access_token")
    if not access:
        return None
    lifetime = response.get("refresh_expires_in", response.get("refresh_token_expires_in"))
    return Answer.granted(
        access,
        response.get("refresh_token") or None,
        expires_in=duration(response.get("expires_in")),
        refresh_expires_in=duration(lifetime),
        refresh_in=duration(response.get("refresh_in")),
    )


def is_worth_storing(answer: Answer, user: Any, service: str) -> bool:
    """Whether the user is better off with it than with what is stored."""
    if answer.refresh:
        return True
    user_id = user_id_of(user, service)
    return not _can_be_refreshed(TokenPair.objects.read(user_id=user_id, service=service))


def _can_be_refreshed(reading: Reading) -> bool:
    pair = reading.pair
    if pair is None or pair.refused_at or pair.pending_until or pair.revoked_at:
        return False
    if pair.refresh_expires_at is not None and pair.refresh_expires_at <= reading.now:
        return False
    try:
        return bool(sealer(pair.service, pair.user_id).open(pair.refresh_sealed, REFRESH))
    except TokenPairUnreadable:
        return False
