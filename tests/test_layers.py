"""The house's plan, enforced: imports run downwards, modules stay small and have names that say it.

A new module of the package gets its place in `LAYERS`. Names are relative to the package; a `*`
stands for any name below.
"""

import ast
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from tests.imports import MODULES, PACKAGE, ROOT, imported_names, imports_of, own_imports_of

# From the bottom up. A module imports from lower layers and, in its own layer, from its own group
# and from the groups after it.
LAYERS: list[list[set[str]]] = [
    # 0: pure words
    [
        {
            "claims",
            "clock",
            "compare_and_swap",
            "environment",
            "exceptions",
            "faults",
            "forks",
            "freshness",
        }
        | {"log_filter", "origins", "rows", "secret", "seen", "signals", "swaps", "terms", "tls"}
    ],
    # 1: settings, read on use
    [{"conf"}],
    # 2: what is stored
    [
        {"models", "routers", "sessions"},
        {"managers"},
        {"querysets"},
        {"writes"},
        {"row_query"},
        {"fields", "transactions", "users"},
        {"ciphers"},
        {"encryption_keys"},
    ],
    # 3: what is asked
    [{"issuers", "issuers.*"}],
    # 4: the protocol and who carries it out
    [{"refresh", "refresh.*"}],
    # 5: the one door
    [{"tokens"}, {"holds", "refresh_ahead", "usage"}, {"grants"}],
    # 6: callers of other services
    [{"clients", "clients.*"}],
    # 7: what Django meets
    [
        {"logins", "logins.*"},
        {"apps", "asgi", "urls", "management", "management.*"},
        {"fleet", "fleet.*", "runners", "runners.*", "tasks"},
        {"admin", "alarm", "backends", "checks", "checks.*", "middleware", "receivers", "views"}
        | {"telemetry"},
        {"aoutbound", "explanation", "forms", "outbound", "responses"},
        {"admin_pages"},
        {"admin_actions", "admin_filters", "dashboard"},
        {"admin_columns"},
        {"charts", "pair_states", "read_only_admin"},
        {"accounts", "audience", "destinations", "inspection", "rotation"},
        {"obtained"},
    ],
]
# Beside the layers: may import anything, and is imported by no layer.
BESIDE = {"testing", "testing.*", "migrations", "migrations.*"}

# Alternatives: of their own package, only the package itself may import them.
ALTERNATIVES = {
    *("issuers.callable", "issuers.local", "issuers.oauth2", "issuers.simplejwt"),
    *("clients.gql", "clients.httpx", "clients.requests"),
    *("logins.allauth", "logins.oidc", "logins.social"),
}
# Narrower than the layers: what modules must not see although it lies below them.
UNSEEN: dict[str, set[str]] = {
    "issuers*": {"models", "managers", "sessions"},
    "clients*": {"models", "managers", "sessions", "fields", "ciphers", "issuers*", "refresh*"},
}
# These decide, and leave doing to others.
PURE = {"claims", "compare_and_swap", "fleet.plans", "freshness", "origins", "rows"} | {
    *("secret", "seen", "swaps", "terms"),
    "issuers.answers",
    "issuers.wire",
    "refresh.budget",
    "refresh.cooldown",
    "refresh.decisions",
    "refresh.failures",
    "refresh.flow",
    "refresh.steps",
    "refresh.words",
}
WORLD = {"asyncio", "concurrent", "django", "httpx", "requests", "socket", "threading", "time"}

NAMES_THAT_SAY_NOTHING = {"base", "common", "core", "helper", "helpers", "misc", "util", "utils"}
LONGEST_MODULE = 250
LONGEST_FUNCTION = 40


class Place(NamedTuple):
    layer: int
    group: int


def matches(module: str, patterns: set[str]) -> bool:
    return any(fnmatchcase(module, pattern) for pattern in patterns)


def place(module: str) -> Place | None:
    for layer, groups in enumerate(LAYERS):
        for group, patterns in enumerate(groups):
            if matches(module, patterns):
                return Place(layer, group)
    return None


def breaks_the_order(module: str, target: str) -> bool:
    here, there = place(module), place(target)
    if here is None or there is None:
        return not matches(module, BESIDE) and matches(target, BESIDE)
    if here.layer == there.layer:
        return there.group < here.group
    return there.layer > here.layer


def is_a_rival(module: str, target: str) -> bool:
    package = target.rpartition(".")[0]
    return target in ALTERNATIVES and module.startswith(f"{package}.")


def edges() -> list[tuple[str, str]]:
    return [(module, target) for module in MODULES for target in sorted(own_imports_of(module))]


def says(edge: tuple[str, str]) -> str:
    return f"{edge[0]} imports {edge[1]}"


def test_every_module_has_its_place() -> None:
    unknown = [m for m in MODULES if place(m) is None and not matches(m, BESIDE)]
    assert not unknown, f"give these a layer in {Path(__file__).name}: {unknown}"


def test_imports_run_downwards() -> None:
    assert [says(edge) for edge in edges() if breaks_the_order(*edge)] == []


def test_alternatives_do_not_import_one_another() -> None:
    assert [says(edge) for edge in edges() if is_a_rival(*edge)] == []


def test_nobody_imports_what_is_hidden_from_it() -> None:
    seen = [
        says((module, target))
        for module, target in edges()
        if any(fnmatchcase(module, who) and matches(target, UNSEEN[who]) for who in UNSEEN)
    ]
    assert seen == []


def test_the_pure_modules_do_nothing() -> None:
    doing = [
        f"{module} imports {name}"
        for module in sorted(PURE & MODULES.keys())
        for name in imports_of(module)
        if name.partition(".")[0] in WORLD
    ]
    assert doing == []


def test_no_module_is_too_long() -> None:
    lengths = {m: len(path.read_text().splitlines()) for m, path in MODULES.items()}
    too_long = {m: n for m, n in lengths.items() if n > LONGEST_MODULE and not is_migration(m)}
    assert too_long == {}


def is_migration(module: str) -> bool:
    return module.startswith("migrations.")


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Its lines without the docstring, which may take the room that it needs."""
    first = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - first[0].lineno + 1 if first else 0


def test_no_function_is_too_long() -> None:
    too_long = [
        f"{module}.{node.name}: {length(node)} lines"
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and length(node) > LONGEST_FUNCTION
    ]
    assert too_long == []


def test_module_names_say_something() -> None:
    files = [path for top in (PACKAGE, "demo_project") for path in (ROOT / top).rglob("*.py")]
    names = {path: path.parent.name if path.stem == "__init__" else path.stem for path in files}
    nameless = [str(p.relative_to(ROOT)) for p, n in names.items() if n in NAMES_THAT_SAY_NOTHING]
    assert nameless == []


def test_the_reading_of_imports_is_right() -> None:
    source = (
        "import a.b\nfrom . import c\nfrom .d import e\nfrom .. import f\n"
        "if TYPE_CHECKING:\n    import g\nelse:\n    import h\n"
        "def late():\n    from i import j\n"
    )
    names = list(imported_names(ast.parse(source), "jwt_outbound.clients"))
    here = "jwt_outbound.clients"
    assert names == ["a.b", f"{here}.c", f"{here}.d.e", "jwt_outbound.f", "h", "i.j"]


def test_the_table_tells_up_from_down() -> None:
    assert breaks_the_order("conf", "tokens")
    assert breaks_the_order("ciphers", "models")
    assert breaks_the_order("models", "testing")
    assert not breaks_the_order("models", "ciphers")
    assert not breaks_the_order("clients.gql", "tokens")
    assert is_a_rival("issuers.simplejwt", "issuers.oauth2")
    assert is_a_rival("clients.gql", "clients.requests")
    assert not is_a_rival("issuers.simplejwt", "issuers.answers")
    assert not is_a_rival("clients", "clients.requests")
