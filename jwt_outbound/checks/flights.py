"""Can a refresh run, and who runs those ahead of expiry?"""

from collections.abc import Iterator

from django.core import checks
from django.core.checks import CheckMessage, Error

from jwt_outbound.checks.given import Given, imported

RUNNERS = ("thread", "off")


def check_threads(given: Given) -> Iterator[CheckMessage]:
    threads = given.of_app("FLIGHT_THREADS")
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        yield Error(
            "JWT_OUTBOUND['FLIGHT_THREADS'] must be a whole number, 1 or more.",
            hint="It is how many refreshes can run at once in a process; the default is 8.",
            id="jwt_outbound.E018",
        )
    elif threads == 1:
        yield checks.Warning(
            "With JWT_OUTBOUND['FLIGHT_THREADS'] = 1, one issuer that does not answer keeps the "
            "refreshes of all other services waiting.",
            hint="Give it 2 or more: at most half of them work for one service.",
            id="jwt_outbound.W001",
        )


def check_context(given: Given) -> Iterator[CheckMessage]:
    path = given.of_app("FLIGHT_CONTEXT")
    if path is not None and not callable(imported(path)):
        yield Error(
            "JWT_OUTBOUND['FLIGHT_CONTEXT'] is not the dotted path of a function that can be "
            "imported.",
            hint="It is called in the caller and returns a context manager that the refresh "
            "enters; leave it out if no state on connections must travel.",
            id="jwt_outbound.E019",
        )


def check_runner(given: Given) -> Iterator[CheckMessage]:
    runner = given.of_app("REFRESH_AHEAD_RUNNER")
    if runner not in RUNNERS and not callable(imported(runner)):
        yield Error(
            "JWT_OUTBOUND['REFRESH_AHEAD_RUNNER'] is neither 'thread' nor 'off' nor the dotted "
            "path of a function that can be imported.",
            hint="'thread' (the default) refreshes in this process; 'off' leaves it to the "
            "first call after expiry.",
            id="jwt_outbound.E034",
        )


RULES = (check_threads, check_context, check_runner)
