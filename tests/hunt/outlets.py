"""All places where something can come out of this process, read as bytes."""

import copy
import io
import json
import logging
import pickle
import traceback
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import caches
from django.core.management import call_command
from django.db import connections
from django.db.models.signals import ModelSignal
from django.dispatch import Signal
from django.views.debug import ExceptionReporter

from jwt_outbound import signals
from tests.hunt.needles import Needles, joined


class Outlets:
    """What came out, by the place where it did."""

    def __init__(self) -> None:
        self._out: dict[str, list[bytes]] = defaultdict(list)

    def note(self, place: str, *things: Any) -> None:
        self._out[place] += [joined([thing]) for thing in things]

    def examine(self, place: str, *things: Any) -> None:
        """All that can be made of a Python object without asking it for its secret."""
        for thing in things:
            self.note(place, repr(thing), str(thing), f"{thing}", _fields_of(thing))
            for protocol in (0, 2, pickle.HIGHEST_PROTOCOL):
                with suppress(Exception):
                    self.note(f"{place}, pickled", pickle.dumps(thing, protocol))
            with suppress(Exception):
                self.note(f"{place}, as JSON", json.dumps(thing))
            with suppress(Exception):
                self.note(f"{place}, copied", repr(vars(copy.deepcopy(thing))))
            if isinstance(thing, BaseException):
                self._examine_error(place, thing)
                for behind in filter(None, (thing.__cause__, thing.__context__)):
                    self.note(place, repr(behind), repr(behind.args), repr(vars(behind)))

    def _examine_error(self, place: str, error: BaseException) -> None:
        self.note(place, repr(error.args), repr(vars(error)))
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        self.note(f"{place}, its frames", *told.format())
        reporter = ExceptionReporter(None, type(error), error, error.__traceback__)
        # At DEBUG the templates log each variable that is missing, with the whole page's context.
        templates = logging.getLogger("django.template")
        templates.disabled = True
        self.note(f"{place}, its page", reporter.get_traceback_html())
        templates.disabled = False

    def leaks(self, needles: Needles) -> dict[str, set[str]]:
        found = {place: needles.found_in(b"\n".join(out)) for place, out in self._out.items()}
        return {place: what for place, what in found.items() if what}

    def sizes(self) -> dict[str, int]:
        return {place: sum(map(len, out)) for place, out in self._out.items()}


def _fields_of(thing: Any) -> str:
    """What a debugger or an error reporter shows of an object's attributes."""
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    shown = {name: repr(getattr(thing, name, None)) for name in slots if name != "_value"}
    return repr(shown | {k: repr(v) for k, v in getattr(thing, "__dict__", {}).items()})


class Listener(logging.Handler):
    """Every record of every logger, with all that it carries."""

    def __init__(self, outlets: Outlets) -> None:
        super().__init__(logging.DEBUG)
        self._outlets = outlets

    def emit(self, record: logging.LogRecord) -> None:
        self._outlets.note(f"log of {record.name}", self.format(record), repr(vars(record)))


def all_loggers() -> list[logging.Logger]:
    known = logging.root.manager.loggerDict.values()
    return [logging.root, *(logger for logger in known if isinstance(logger, logging.Logger))]


def our_signals() -> dict[str, Signal]:
    """Those of the app by name: new ones are among them."""
    return {
        name: thing
        for name, thing in vars(signals).items()
        if isinstance(thing, Signal) and not isinstance(thing, ModelSignal)
    }


def rows() -> Iterator[tuple[str, str]]:
    """Every row of every table in every database."""
    for alias in settings.DATABASES:
        connection = connections[alias]
        with connection.cursor() as cursor:
            for table in connection.introspection.table_names(cursor):
                cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
                for row in cursor.fetchall():
                    values = (bytes(v) if isinstance(v, memoryview) else v for v in row)
                    yield f"table {table}", repr(tuple(values))


def database_files() -> Iterator[tuple[str, bytes]]:
    """The files of SQLite with what lies beside them (journal, WAL, shared memory)."""
    for alias in settings.DATABASES:
        connection = connections[alias]
        if connection.vendor != "sqlite":
            continue
        path = Path(connection.settings_dict["NAME"])
        for file in path.parent.glob(f"{path.name}*"):
            yield f"file {file.name}", file.read_bytes()


def dumps() -> Iterator[tuple[str, str]]:
    for form in ("json", "xml"):
        out = io.StringIO()
        call_command("dumpdata", "--all", format=form, stdout=out)
        yield f"dumpdata as {form}", out.getvalue()


def cached() -> Iterator[tuple[str, str]]:
    for alias in settings.CACHES:
        entries = getattr(caches[alias], "_cache", {})
        yield f"cache {alias}", repr(entries)


def collect_at_rest(outlets: Outlets) -> None:
    """What lies about when all is done."""
    for place, thing in (*rows(), *database_files(), *dumps(), *cached()):
        outlets.note(place, thing)
    for session in Session.objects.all():
        outlets.note("sessions", repr(session.get_decoded()))
    for message in mail.outbox:
        outlets.note("mails", message.message().as_string(), message.body, repr(vars(message)))


@cache
def listen_for_spans() -> Any:
    """OpenTelemetry's exporter, where its SDK is installed; else None."""
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        return None
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def finished_spans() -> list[str]:
    exporter = listen_for_spans()
    return [] if exporter is None else [span.to_json() for span in exporter.get_finished_spans()]
