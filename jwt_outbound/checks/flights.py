"""Can a refresh run, and who runs those ahead of expiry?"""

from collections.abc import Iterator

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from jwt_outbound.checks.given import Given, imported, is_whole

RUNNERS = ("thread", "off")
TASKS = "jwt_outbound.runners.tasks.enqueue"
READY_MADE = {
    TASKS: "Run pip install 'jwt-outbound[tasks]' (Django 6.0 has tasks of its own), and see that "
    "TASKS has a backend 'default' with a queue 'default'.",
    "jwt_outbound.runners.celery.enqueue": "Run pip install 'jwt-outbound[celery]'.",
}
NO_QUEUES = ("ImmediateBackend", "DummyBackend")


def check_threads(given: Given) -> Iterator[CheckMessage]:
    threads = given.of_app("FLIGHT_THREADS")
    if not is_whole(threads, 1):
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
    if runner in RUNNERS or callable(imported(runner)):
        return
    why = "is neither 'thread' nor 'off' nor the dotted path of a function that can be imported."
    cure = "'thread' (the default) refreshes in this process; 'off' leaves it to the first call "
    cure += "after expiry."
    if isinstance(runner, str) and runner in READY_MADE:
        why, cure = f"is {runner!r}, and that {_why_not(runner)}", READY_MADE[runner]
    yield Error(f"JWT_OUTBOUND['REFRESH_AHEAD_RUNNER'] {why}", hint=cure, id="jwt_outbound.E034")


def check_task_backend(given: Given) -> Iterator[CheckMessage]:
    """Fine for development, so that `DEBUG` silences it."""
    runner = given.of_app("REFRESH_AHEAD_RUNNER")
    if settings.DEBUG or runner != TASKS or not callable(imported(runner)):
        return
    backend = imported("jwt_outbound.runners.tasks.refresh").get_backend()
    if type(backend).__name__ in NO_QUEUES:
        yield checks.Warning(
            "JWT_OUTBOUND['REFRESH_AHEAD_RUNNER'] leaves refreshes to Django's tasks, and "
            f"TASKS['default'] is the {type(backend).__name__}, which has no workers.",
            hint="Give TASKS a backend with workers, such as django-tasks-db's, or use 'thread': "
            "until then callers refresh ahead themselves, and wait for it, or nobody does.",
            id="jwt_outbound.W002",
        )


def _why_not(runner: str) -> str:
    try:
        import_string(runner)
    except ImproperlyConfigured as error:
        return f"can't be imported: {error}"
    except Exception as error:  # noqa: BLE001 - the project's TASKS may hold anything
        return f"raises {type(error).__name__} at import."
    return "is no function."


RULES = (check_threads, check_context, check_runner, check_task_backend)
