import re
from typing import Any

import pytest
from django.conf import settings
from django.core.management.base import CommandError
from django.test import override_settings

from jwt_outbound.ciphers import key_ids
from jwt_outbound.models import TokenPair
from tests.conftest import Configure
from tests.sealed_pairs import NEW, OLD, columns, run, store

pytestmark = [pytest.mark.django_db(databases=["default", "tokens"]), pytest.mark.database]

COMMAND = "rotate_token_encryption"


@pytest.fixture(autouse=True)
def old_key(configure: Configure) -> None:
    configure(ENCRYPTION_KEYS=[OLD])


def lines(*arguments: str) -> list[str]:
    return run(COMMAND, *arguments).splitlines()


def test_it_says_what_it_did_and_that_the_old_key_can_go(configure: Configure) -> None:
    store("alice")
    store("bob")
    configure(ENCRYPTION_KEYS=[NEW, OLD])
    new, old = key_ids()
    assert lines() == [
        "2 pairs were sealed anew, 0 had the newest key, 0 were replaced meanwhile.",
        f"the newest key ({new}) holds 2 pairs",
        f"key 2 ({old}) holds 0 pairs; it can be taken out",
    ]


def test_a_dry_run_counts_and_changes_nothing(configure: Configure) -> None:
    store("alice")
    configure(ENCRYPTION_KEYS=[NEW, OLD])
    store("bob")
    before = columns()
    new, old = key_ids()
    assert lines("--dry-run") == [
        f"the newest key ({new}) holds 1 pairs",
        f"key 2 ({old}) holds 1 pairs",
    ]
    assert columns() == before


def test_what_can_not_be_opened_is_an_error_with_its_cure(configure: Configure) -> None:
    store("alice")
    lost = key_ids()[0]
    configure(ENCRYPTION_KEYS=[NEW])
    store("bob")
    before = columns()
    with pytest.raises(CommandError, match="1 pairs can't be decrypted") as raised:
        run(COMMAND)
    assert "Put their key back" in str(raised.value)
    assert "forget_token_pairs --unreadable" in str(raised.value)
    assert columns() == before
    assert f"a key that is not configured ({lost}) holds 1 pairs" in lines("--dry-run")


def test_bytes_of_another_origin(configure: Configure) -> None:
    TokenPair.objects.filter(pk=store("alice").pk).update(access_sealed=b"junk")
    configure(ENCRYPTION_KEYS=[NEW, OLD])
    assert "an unknown format holds 1 pairs" in lines("--dry-run")
    with pytest.raises(CommandError, match="can't be decrypted"):
        run(COMMAND)


def test_without_pairs_there_is_nothing_to_do() -> None:
    assert lines()[0].startswith("0 pairs were sealed anew")


@pytest.mark.parametrize("keys", [["sesame"], "no.such.provider"])
def test_keys_that_are_none_are_said_and_not_shown(configure: Configure, keys: Any) -> None:
    store("alice")
    before = columns()
    configure(ENCRYPTION_KEYS=keys)
    with pytest.raises(CommandError, match="ENCRYPTION_KEYS") as raised:
        run(COMMAND)
    assert "sesame" not in str(raised.value)
    assert columns() == before


def give_two_keys_once() -> list[str]:
    """A provider that is there for the command's first look only."""
    if Looks.left == 0:
        raise OSError("away")
    Looks.left -= 1
    return [NEW, OLD]


class Looks:
    left = 0


def test_a_provider_that_goes_away_in_between_stops_it(configure: Configure) -> None:
    store("alice")
    before = columns()
    configure(ENCRYPTION_KEYS=f"{__name__}.give_two_keys_once")
    Looks.left = 2
    with pytest.raises(CommandError, match="run this again"):
        run(COMMAND)
    assert columns() == before


def test_the_secret_key_can_be_changed_the_same_way(configure: Configure) -> None:
    configure(ENCRYPTION_KEYS=None)
    store("alice")
    with override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        assert lines()[0].startswith("1 pairs were sealed anew")
    with override_settings(SECRET_KEY="another"):
        assert re.search(r"newest key \(\w{8}\) holds 1 pairs", run(COMMAND, "--dry-run"))


def test_the_tables_of_another_alias(configure: Configure) -> None:
    own = ["jwt_outbound.routers.TokenRouter"]
    store("alice")
    with override_settings(DATABASE_ROUTERS=own):
        configure(DATABASE="tokens")
        store("bob")
        configure(ENCRYPTION_KEYS=[NEW, OLD])
        assert lines()[0].startswith("1 pairs were sealed anew")
        configure(DATABASE="default")
        assert lines("--dry-run")[1].endswith("holds 1 pairs")
