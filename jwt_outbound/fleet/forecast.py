"""What a worker would find and do now, without doing it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from itertools import islice

from jwt_outbound.fleet.due import due_pairs, health_of_all, with_plans
from jwt_outbound.fleet.plans import Do
from jwt_outbound.querysets import database_now
from jwt_outbound.refresh.words import Policy

CHUNK = 500


def forecast(policies: Mapping[str, Policy]) -> dict[str, Counter[Do]]:
    """By service, how many due pairs would be refreshed, finished, put off or left alone."""
    now, issuers = database_now(), health_of_all(policies)
    cooling = {name for name, issuer in issuers.items() if issuer.cooling_until > now}
    counts: dict[str, Counter[Do]] = defaultdict(Counter)
    due = due_pairs(now, policies).each_pair(CHUNK)
    while chunk := list(islice(due, CHUNK)):
        for each in with_plans(chunk, policies, issuers):
            do = Do.PUT_OFF if each.pair.service in cooling else each.plan.do
            counts[each.pair.service][do] += 1
    return counts


def count_due(services: Collection[str], by: int | None = None) -> int:
    """How many pairs are due, or were `by` then, and are in nobody's hand."""
    return int(due_pairs(database_now(), services, by).count())
