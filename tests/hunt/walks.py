"""Walks to what there is: pages, admin, commands. New ones are found, none is named."""

from __future__ import annotations

import argparse
import io
import itertools
from collections.abc import Iterator
from contextlib import redirect_stderr, suppress
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.management import call_command, get_commands, load_command_class
from django.core.management.base import CommandError
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tests.hunt.drivers import DRIVERS
from tests.hunt.outlets import Outlets

APP = "jwt_outbound"
STANDARD = {"help", "version", "verbosity", "settings", "pythonpath", "traceback", "no_color"} | {
    "force_color",
    "skip_checks",
}
ENDLESS = {"loop"}
"""Flags of commands that go on for ever."""

WORDS: dict[str, list[str]] = {
    "service": ["billing", "no-such-service"],
    "way": sorted(DRIVERS),
    "where": ["invoices/", "https://elsewhere.example/x"],
    "fault": ["break", "blank", "long", "bytes"],
    "user": ["alice"],
    "method": ["GET", "POST"],
    "path": ["invoices/", "always401/", "https://elsewhere.example/x"],
    "data": ['{"a": 1}'],
    "days": ["30"],
    "threads": ["2"],
    "health_file": ["no-such-folder/health"],
}
"""What to put where an address or a command asks for something of that name."""


def words_for(name: str, where: str) -> list[str]:
    assert name in WORDS, f"{where} asks for {name!r}: tell WORDS what to put there"
    return WORDS[name]


# Pages


def addresses() -> Iterator[str]:
    """Every address of the site but the admin's, with each word that fits into it."""
    yield from _addresses_below(get_resolver(), "/")


def _addresses_below(resolver: URLResolver, prefix: str) -> Iterator[str]:
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            if entry.app_name != "admin":
                yield from _addresses_below(entry, route)
        else:
            yield from _filled_in(entry, route)


def _filled_in(entry: URLPattern, route: str) -> Iterator[str]:
    names = list(entry.pattern.converters)
    words = [words_for(name, route) for name in names]
    for chosen in itertools.product(*words):
        filled = route
        for name, converter, word in zip(
            names, entry.pattern.converters.values(), chosen, strict=True
        ):
            kind = "path" if type(converter).__name__ == "PathConverter" else "str"
            filled = filled.replace(f"<{kind}:{name}>", word)
        assert "<" not in filled, f"{route} has a converter that the hunt does not know"
        yield filled


def visit(outlets: Outlets, client: Client, method: str, address: str, **data: Any) -> None:
    response = getattr(client, method)(address, data)
    body = b"".join(response) if response.streaming else response.content
    place = f"{method} {address}"
    outlets.note(place, repr(response.headers), repr(response.cookies), body)
    outlets.note("sessions", repr(dict(client.session)))


# The admin


def visit_admin(outlets: Outlets, client: Client) -> None:
    """All pages, searches and actions of all models."""
    for model, page in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        listing = reverse(f"{name}_changelist")
        for search in ("", "?q=alice", "?q=eyJ", "?o=1"):
            visit(outlets, client, "get", listing + search)
        visit(outlets, client, "get", reverse(f"{name}_add"))
        keys = [str(row.pk) for row in model._default_manager.all()[:2]]
        for key, view in itertools.product(keys, ("change", "history", "delete")):
            visit(outlets, client, "get", reverse(f"{name}_{view}", args=[key]))
        _act(outlets, client, page, listing, keys)


def _act(outlets: Outlets, client: Client, page: Any, listing: str, keys: list[str]) -> None:
    request = RequestFactory().get(listing)
    request.user = page.model._meta.apps.get_model("auth", "User").objects.get(is_superuser=True)
    for action in page.get_actions(request):
        if page.opts.app_label != APP:
            continue
        chosen = {"action": action, ACTION_CHECKBOX_NAME: keys}
        visit(outlets, client, "post", listing, **chosen)
        visit(outlets, client, "post", listing, **chosen, post="yes")


# Commands


def run_commands(outlets: Outlets) -> None:
    """Each of the app's, bare and with each of its options."""
    for name in sorted(n for n, app in get_commands().items() if app == APP):
        for arguments in command_lines(name):
            out = io.StringIO()
            with redirect_stderr(out), suppress(CommandError, SystemExit):
                try:
                    call_command(name, *arguments, stdout=out, stderr=out)
                except CommandError as error:
                    outlets.examine(f"command {name}", error)
                    raise
            outlets.note(f"command {name}", out.getvalue())


def command_lines(name: str) -> Iterator[list[str]]:
    parser = load_command_class(APP, name).create_parser("manage.py", name)
    actions = [a for a in parser._actions if a.dest not in STANDARD | ENDLESS]
    bare = [words_for(a.dest, f"manage.py {name}") for a in actions if not a.option_strings]
    unattended = [
        a.option_strings[0] for a in actions if a.dest in ("no_input", "interactive", "noinput")
    ]
    for chosen in itertools.product(*bare):
        yield [*chosen, *unattended]
        for action in actions:
            if action.option_strings:
                yield [*chosen, *unattended, *_option(action, name)]


def _option(action: argparse.Action, name: str) -> list[str]:
    flag = action.option_strings[0]
    if action.nargs == 0:
        return [flag]
    return [flag, words_for(action.dest, f"manage.py {name} {flag}")[0]]
