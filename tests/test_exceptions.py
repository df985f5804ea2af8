import copy
import inspect
import pickle
import re
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from jwt_outbound import exceptions
from jwt_outbound.exceptions import (
    CredentialsRefused,
    ForeignOrigin,
    IssuerMisconfigured,
    IssuerUnavailable,
    JWTOutboundError,
    LoginRequired,
    RefreshInProgress,
    RefreshTokenExpired,
    RefreshTokenRefused,
    ServiceNotConfigured,
    TemporarilyUnavailable,
    TokenPairNotFound,
    TokenPairUnreadable,
    TokenStoreUnavailable,
)

PERMANENT = {TokenPairNotFound, RefreshTokenRefused, RefreshTokenExpired, CredentialsRefused}
TRANSIENT = {
    IssuerUnavailable,
    IssuerMisconfigured,
    RefreshInProgress,
    TokenStoreUnavailable,
    TokenPairUnreadable,
}
ALL = [
    kind
    for _, kind in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(kind, Exception) and kind is not ImproperlyConfigured
]


def test_the_tree() -> None:
    assert set(LoginRequired.__subclasses__()) == PERMANENT
    assert set(TemporarilyUnavailable.__subclasses__()) == TRANSIENT
    assert set(JWTOutboundError.__subclasses__()) == {
        LoginRequired,
        TemporarilyUnavailable,
        ForeignOrigin,
    }
    assert issubclass(ForeignOrigin, ValueError)
    assert issubclass(ServiceNotConfigured, ImproperlyConfigured)
    assert not issubclass(ServiceNotConfigured, JWTOutboundError)


def test_permanent_and_transient_failures_are_different_types() -> None:
    assert not issubclass(LoginRequired, TemporarilyUnavailable)
    assert not issubclass(TemporarilyUnavailable, LoginRequired)


def test_the_docstring_draws_the_whole_tree() -> None:
    drawn = set(re.findall(r"[A-Z]\w+", exceptions.__doc__ or ""))
    assert {kind.__name__ for kind in ALL} <= drawn


@pytest.mark.parametrize("kind", ALL)
def test_each_says_what_it_means(kind: type[Exception]) -> None:
    assert "__doc__" in vars(kind)
    assert vars(kind)["__doc__"]


ATTRIBUTES: dict[type[JWTOutboundError], dict[str, Any]] = {
    LoginRequired: {"reason": "refused", "code": "invalid_grant"},
    TemporarilyUnavailable: {"retry_after": 2.5},
    IssuerUnavailable: {"retry_after": None, "ambiguous": True},
    ForeignOrigin: {},
}


def pickled(error: Any) -> Any:
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - our own


def attributes_of(kind: type[JWTOutboundError]) -> dict[str, Any]:
    known = next(known for known in reversed(ATTRIBUTES) if issubclass(kind, known))
    return {**ATTRIBUTES[known], "service": "billing", "user_id": 7}


@pytest.mark.parametrize("kind", sorted(PERMANENT | TRANSIENT | {ForeignOrigin}, key=str))
@pytest.mark.parametrize("copied", [pickled, copy.copy, copy.deepcopy])
def test_they_survive_pickle_with_their_attributes(
    kind: type[JWTOutboundError], copied: Any
) -> None:
    attributes = attributes_of(kind)
    error = kind("what happened", **attributes)
    error.add_note("a note")
    twin = copied(error)
    assert type(twin) is kind
    assert str(twin) == "what happened"
    assert {name: getattr(twin, name) for name in attributes} == attributes
    assert twin.__notes__ == ["a note"]


class Strange(IssuerUnavailable):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}", service="billing", ambiguous=True)
        self.sum = one + two


def test_a_subclass_with_arguments_of_its_own_survives_pickle_too() -> None:
    twin = pickled(Strange(1, 2))
    assert (twin.sum, twin.ambiguous, str(twin)) == (3, True, "1 and 2")


def test_service_not_configured_survives_pickle() -> None:
    assert str(pickled(ServiceNotConfigured("which?"))) == "which?"


@pytest.mark.parametrize("kind", sorted(PERMANENT | TRANSIENT | {ForeignOrigin}, key=str))
def test_all_attributes_are_optional(kind: type[JWTOutboundError]) -> None:
    error = kind("what happened")
    assert (error.service, error.user_id) == ("", None)
