import base64
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from jwt_outbound.ciphers import ACCESS, REFRESH, Sealer, key_id, sealer
from jwt_outbound.encryption_keys import decode_key, master_keys
from jwt_outbound.exceptions import TokenPairUnreadable

TOKEN = "eyJhbGciOiJIUzI1NiJ9.sesame.signature"


OLD, NEW, OTHER = (
    base64.urlsafe_b64encode(sha256(name).digest()).decode() for name in (b"old", b"new", b"other")
)


def with_keys(*keys: str) -> override_settings:
    return override_settings(JWT_OUTBOUND={"ENCRYPTION_KEYS": list(keys)})


def seal(token: str = TOKEN, kind: str = ACCESS, service: str = "billing", user: Any = 7) -> bytes:
    return sealer(service, user).seal(token, kind)


def unseal(sealed: bytes, kind: str = ACCESS, service: str = "billing", user: Any = 7) -> str:
    return sealer(service, user).open(sealed, kind).reveal()


@given(st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=200))
def test_what_is_sealed_can_be_opened(token: str) -> None:
    assert unseal(seal(token)) == token


def test_a_ciphertext_shows_nothing_and_is_never_the_same() -> None:
    sealed = {seal() for _ in range(50)}
    assert len(sealed) == 50
    assert not any(b"sesame" in text or b"billing" in text for text in sealed)
    assert {len(text) for text in sealed} == {1 + 4 + 12 + len(TOKEN) + 16}


def test_no_token_has_no_ciphertext() -> None:
    assert seal("") == b""
    assert unseal(b"") == ""


def test_a_ciphertext_as_some_databases_return_it() -> None:
    assert sealer("billing", 7).open(memoryview(seal()), ACCESS).reveal() == TOKEN  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"user": 8},
        {"service": "archive"},
        {"kind": REFRESH},
        {"user": "", "service": "billing7"},
        {"user": "77", "service": "billin"},
    ],
)
def test_a_ciphertext_opens_only_where_it_belongs(elsewhere: dict[str, Any]) -> None:
    with pytest.raises(TokenPairUnreadable, match="ENCRYPTION_KEYS") as raised:
        unseal(seal(), **elsewhere)
    assert raised.value.service == elsewhere.get("service", "billing")
    assert raised.value.user_id == elsewhere.get("user", 7)


def test_a_primary_key_may_be_a_number_or_its_text() -> None:
    assert unseal(seal(user=7), user="7") == TOKEN


def test_every_changed_bit_is_noticed() -> None:
    sealed = seal("token")
    for position in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[position] ^= 1 << bit
            with pytest.raises(TokenPairUnreadable):
                unseal(bytes(changed))


@given(st.binary(min_size=1, max_size=80))
def test_any_bytes_are_opened_or_unreadable(junk: bytes) -> None:
    with pytest.raises(TokenPairUnreadable):
        unseal(junk)
    with pytest.raises(TokenPairUnreadable):
        unseal(seal()[:17] + junk)


def test_keys_are_rotated_without_a_break() -> None:
    with with_keys(OLD):
        before = seal()
    with with_keys(NEW, OLD):
        assert unseal(before) == TOKEN
        after = seal()
    with with_keys(OLD, NEW):
        assert unseal(after) == TOKEN, "a host that has not got the new order yet"
    with with_keys(NEW):
        assert unseal(after) == TOKEN
        with pytest.raises(TokenPairUnreadable, match="put the old key back"):
            unseal(before)


def test_keys_may_come_from_the_secret_key() -> None:
    with override_settings(SECRET_KEY="one", JWT_OUTBOUND={}):
        before = seal()
    with override_settings(SECRET_KEY="two", SECRET_KEY_FALLBACKS=["one"], JWT_OUTBOUND={}):
        assert unseal(before) == TOKEN
        assert len(master_keys()) == 2
    with (
        override_settings(SECRET_KEY="two", JWT_OUTBOUND={}),
        pytest.raises(TokenPairUnreadable),
    ):
        unseal(before)


def test_the_key_of_one_service_is_of_no_use_for_another() -> None:
    with with_keys(OLD):
        billing, archive = sealer("billing", 7), sealer("archive", 7)
    assert list(billing.keys) == list(archive.keys), "by the same id"
    stolen = Sealer("archive", 7, billing.keys)
    with pytest.raises(TokenPairUnreadable):
        stolen.open(archive.seal(TOKEN, ACCESS), ACCESS)


def test_each_key_has_an_id_of_its_own() -> None:
    ids = [key_id(decode_key(key)) for key in (OLD, NEW, OTHER)]
    assert len(set(ids)) == 3
    assert {len(identifier) for identifier in ids} == {4}
    with with_keys(NEW, OLD):
        assert seal()[1:5] == ids[1]


BAD: Sequence[Any] = ["", "sesame", OLD[:-4], OLD + NEW, OLD[:20], f"{OLD}\n", None, 5, "\xff" * 44]


@pytest.mark.parametrize("key", BAD)
def test_what_is_no_key_is_not_repeated(key: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="urlsafe base64 of 32 bytes") as raised:
        decode_key(key)
    assert not key or str(key) not in str(raised.value)
    with with_keys(NEW, key), pytest.raises(ImproperlyConfigured):
        seal()


def test_a_sealer_does_not_show_its_keys() -> None:
    assert repr(sealer("billing", 7)) == "Sealer(service='billing', user_id=7)"


def test_the_message_shows_no_token() -> None:
    with pytest.raises(TokenPairUnreadable) as raised:
        unseal(seal(), kind=REFRESH)
    assert "sesame" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
