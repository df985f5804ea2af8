"""Who makes and replaces token pairs: the one interface to write for an issuer of your own."""

from abc import ABC, abstractmethod
from typing import Any

from django.core.checks import CheckMessage

from jwt_outbound.issuers.answers import Answer, Profile


class Issuer(ABC):
    """One service's token endpoint.

    Made once for each service, with the service's `OPTIONS` as keyword arguments, and called from
    many threads. Only `exchange` must be written; the attributes say what else it can do.
    """

    obtains_by_password: bool = False
    """`obtain` works: users can log in with the name and password they have at the issuer."""
    exchanges: bool = True
    """`exchange` is of use; False for an issuer that only makes first pairs."""
    makes_first_pair: bool = False
    """`first_pair` works: no pair need be stored first."""
    revokes: bool = False
    """`revoke` works."""
    profile: Profile = Profile()
    """What is peculiar to this kind of issuer."""

    @abstractmethod
    def exchange(self, refresh_token: str, deadline: float) -> Answer:
        """Asks for a new pair (RFC 6749 section 6), in at most `deadline` seconds in all.

        Called in a flight, on one of the library's own threads. What it raises counts as an
        ambiguous answer, so a definite one must be returned: `Answer.granted(access, refresh)`,
        `Answer.refused(code)`, `Answer.unavailable(ambiguous=...)`, `Answer.misconfigured(code)`.
        """

    def obtain(self, *, username: str, password: str, deadline: float) -> Answer:
        """A pair for a user's name and password at the issuer; `refused` for wrong ones."""
        return Answer.misconfigured("obtain_unsupported")

    def first_pair(self, user: Any, deadline: float) -> Answer:
        """A pair for one of our users, without any token of theirs."""
        return Answer.misconfigured("first_pair_unsupported")

    def revoke(self, refresh_token: str, deadline: float) -> Answer:
        """Ends the refresh token (RFC 7009); `Answer.granted("")` once it is over."""
        return Answer.misconfigured("revoke_unsupported")

    def check(self, service: str) -> list[CheckMessage]:
        """System checks of the options. It must not ask the issuer."""
        return []
