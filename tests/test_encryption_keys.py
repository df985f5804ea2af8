"""A key provider of the project's own, and what the operator hears when it fails."""

import base64
import logging
import os
import pprint
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured

from jwt_outbound import ciphers
from jwt_outbound.checks import check_settings
from jwt_outbound.ciphers import ACCESS, key_ids, sealer
from jwt_outbound.conf import get_settings
from jwt_outbound.encryption_keys import KeysUnavailable, master_keys
from jwt_outbound.exceptions import TokenPairUnreadable
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import Configure, Heard
from tests.issuer_server import StrictIssuer

TOKEN = "sesame.open"
OLD, NEW = (base64.urlsafe_b64encode(sha256(name).digest()).decode() for name in (b"old", b"new"))
PROVIDER = f"{__name__}.provide"


class Vault:
    """What the provider below answers with."""

    keys: Any = ()
    error: Exception | None = None
    asked = 0


def provide() -> Any:
    Vault.asked += 1
    if Vault.error is not None:
        raise Vault.error
    return Vault.keys


@pytest.fixture(autouse=True)
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Vault]]:
    for name, value in {"keys": [NEW, OLD], "error": None, "asked": 0}.items():
        monkeypatch.setattr(Vault, name, value)
    monkeypatch.setattr(ciphers, "_logged_at", {})
    return Vault


@pytest.fixture(autouse=True)
def provided(configure: Configure) -> None:
    configure(ENCRYPTION_KEYS=PROVIDER)


def test_a_function_may_give_the_keys(vault: type[Vault]) -> None:
    assert len(master_keys()) == 2
    vault.keys = (OLD.encode(),)
    sealed = sealer("billing", 7).seal(TOKEN, ACCESS)
    vault.keys = iter([NEW, OLD])
    assert sealer("billing", 7).open(sealed, ACCESS).reveal() == TOKEN


def test_keys_change_while_processes_run(vault: type[Vault]) -> None:
    before = key_ids()
    vault.keys = [OLD, NEW]
    assert key_ids() == before[::-1]


@pytest.mark.parametrize(
    ("keys", "error", "said"),
    [
        ([], None, "returned none"),
        (None, None, "TypeError"),
        ([NEW, "sesame"], None, "ImproperlyConfigured"),
        (NEW, None, "ImproperlyConfigured"),
        ([NEW], OSError("sesame: the vault is sealed"), "OSError"),
        ([NEW], KeyError(NEW), "KeyError"),
    ],
)
def test_a_provider_that_fails_is_told_of_without_its_words(
    vault: type[Vault], keys: Any, error: Exception | None, said: str
) -> None:
    vault.keys, vault.error = keys, error
    with pytest.raises(KeysUnavailable, match=said) as raised:
        master_keys()
    assert isinstance(raised.value, ImproperlyConfigured)
    assert raised.value.__context__ is None
    with pytest.raises(TokenPairUnreadable, match=said) as unreadable:
        sealer("billing", 7)
    for told in (raised, unreadable):
        assert "sesame" not in str(told.value)
        assert NEW not in str(told.value)


def test_without_keys_the_secret_key_is_no_stand_in(vault: type[Vault]) -> None:
    vault.keys = []
    with pytest.raises(TokenPairUnreadable):
        sealer("billing", 7).seal(TOKEN, ACCESS)


def test_settings_do_not_show_themselves(configure: Configure) -> None:
    """They are among the local variables of many functions."""
    configure(ENCRYPTION_KEYS=[NEW], OPTIONS={"client_secret": "sesame"})
    shown = repr(get_settings()) + pprint.pformat(get_settings())
    assert NEW not in shown
    assert "sesame" not in shown


def test_a_path_that_leads_nowhere(configure: Configure) -> None:
    configure(ENCRYPTION_KEYS="no.such.function")
    with pytest.raises(TokenPairUnreadable, match="ModuleNotFoundError"):
        sealer("billing", 7)


def test_the_checks_know_it_and_do_not_call_it(configure: Configure, vault: type[Vault]) -> None:
    assert [m for m in check_settings() if m.id == "jwt_outbound.E010"] == []
    assert vault.asked == 0
    for wrong in ("no.such.function", f"{__name__}.TOKEN", "sesame", NEW):
        configure(ENCRYPTION_KEYS=wrong)
        (message,) = (m for m in check_settings() if m.id == "jwt_outbound.E010")
        assert "dotted path" in message.msg
        assert wrong not in f"{message.msg}{message.hint}"


class TestWhileTheKeysAreAway:
    """Nobody is logged out, and all go on when they are back."""

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("after", [0, 290], ids=["fresh", "expired"])
    def test_callers_wait_and_operators_hear_of_it(
        self,
        user: User,
        stored: dict[str, str],
        issuer: StrictIssuer,
        vault: type[Vault],
        later: Any,
        heard: Heard,
        caplog: pytest.LogCaptureFixture,
        after: float,
    ) -> None:
        later(after)
        vault.error = OSError("away")
        with caplog.at_level(logging.ERROR, "jwt_outbound"):
            for _ in range(5):
                with pytest.raises(TokenPairUnreadable):
                    fetch_valid_access_token("billing", user)
        assert (heard, issuer.requests()) == ([], [])
        (line,) = (r.getMessage() for r in caplog.records if "decrypted" in r.getMessage())
        assert "ENCRYPTION_KEYS" in line
        assert "Nobody is logged out" in line
        vault.error = None
        assert bool(fetch_valid_access_token("billing", user)) is True
        assert len(issuer.requests()) == (1 if after else 0)

    @pytest.mark.django_db(transaction=True)
    def test_keys_that_leave_during_a_refresh_do_not_lose_its_answer(
        self, user: User, stored: dict[str, str], vault: type[Vault], configure: Configure
    ) -> None:
        from jwt_outbound.testing import FakeIssuer

        class Thief(FakeIssuer):
            def exchange(self, refresh_token: str, deadline: float) -> Any:
                vault.error = OSError("away")
                return super().exchange(refresh_token, deadline)

        with Thief().serving("billing") as issuer:
            issuer.pair_for(user)
            issuer.expire(user)
            with pytest.raises(TokenPairUnreadable):
                fetch_valid_access_token("billing", user)
            vault.error = None
            assert fetch_valid_access_token("billing", user)
            assert len(issuer.presentations) == 1


def test_the_log_says_it_once_a_minute_for_each_reason(
    caplog: pytest.LogCaptureFixture, vault: type[Vault]
) -> None:
    sealed = sealer("billing", 7).seal(TOKEN, ACCESS)
    vault.keys = [base64.urlsafe_b64encode(os.urandom(32)).decode()]
    with caplog.at_level(logging.ERROR, "jwt_outbound"):
        for changed in (sealed, sealed, sealed[:1] + ciphers.key_id(master_keys()[0]) + sealed[5:]):
            with pytest.raises(TokenPairUnreadable):
                sealer("billing", 7).open(changed, ACCESS)
    assert [r.getMessage().count("put the old key back") for r in caplog.records] == [1, 0]
    assert "tampered" in caplog.records[1].getMessage()
