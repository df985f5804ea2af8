"""The protocol's rows mirror the tables, and know two clocks."""

import dataclasses
from uuid import UUID

import pytest

from jwt_outbound.models import IssuerState, TokenPair
from jwt_outbound.rows import IssuerHealth, Pair, Reading


@pytest.mark.parametrize(("row", "model"), [(Pair, TokenPair), (IssuerHealth, IssuerState)])
def test_each_column_is_a_field_with_the_same_default(
    row: type[Pair | IssuerHealth], model: type[TokenPair | IssuerState]
) -> None:
    for column in dataclasses.fields(row):
        if column.default is not dataclasses.MISSING:
            field = model._meta.get_field(column.name)
            assert field.get_default() == column.default, column.name


def test_presented_is_said_of_this_generations_refresh_token_alone() -> None:
    pair = Pair(pk=UUID(int=1), user_id=7, service="billing", generation=3, refresh_sealed=b"x")
    assert not pair.presented
    assert dataclasses.replace(pair, presented_generation=3).presented
    assert not dataclasses.replace(pair, presented_generation=2).presented
    assert not dataclasses.replace(pair, presented_generation=3, refresh_sealed=b"").presented


def test_the_hosts_clock_counts_on_from_the_databases() -> None:
    reading = Reading(pair=None, issuer=IssuerHealth(), now=1_000_000, at=50)
    assert reading.time(50) == 1_000_000
    assert reading.time(75) == 1_000_025
