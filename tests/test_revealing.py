"""P6, read from the source: where a token may be revealed, and what may never be made of one."""

import ast
from collections.abc import Iterator

import pytest

from tests.imports import MODULES

ALLOWED = {
    # It is sent ...
    ("clients.second_line", "_header"),
    ("refresh.driver", "_ask_issuer"),
    ("refresh.driver", "_revoke"),
    ("managers", "_tell_issuer"),
    # ... sealed ...
    ("managers", "store_answer"),
    ("refresh.columns", "new_columns"),
    ("refresh.columns", "_terms"),
    ("rotation", "_rotate_one"),
    # ... handed to the caller who asked for it ...
    ("tokens", "fetch_valid_access_token"),
    ("tokens", "afetch_valid_access_token"),
    ("clients.requests", "fetch_valid_access_token"),
    # ... or read, for its claims or to be told from another.
    ("accounts", "subject_of"),
    ("inspection", "facts_of"),
    ("issuers.answers", "__post_init__"),
    ("issuers.answers", "without"),
}
TELLING = {"debug", "info", "warning", "error", "critical", "log", "print", "write", "format"}
NAMES_OF_SECRETS = {"token", "access", "refresh", "password", "client_secret", "refresh_token"} | {
    "access_token",
    "secret",
    "key",
}
WRITERS = {"print_exc", "format_exc", "print_exception", "format_exception"}
"""They write out what an error says, and it may be a stranger's."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function):
                yield module, node


def calls_in(node: ast.AST) -> Iterator[ast.Call]:
    return (each for each in ast.walk(node) if isinstance(each, ast.Call))


def reveals(node: ast.AST) -> bool:
    return any(name_of(call) == "reveal" for call in calls_in(node))


def name_of(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def tells_a_secret(node: ast.AST) -> Iterator[str]:
    """What in `node` writes a token into a text, a log or an error."""
    for each in ast.walk(node):
        if isinstance(each, ast.JoinedStr) and reveals(each):
            yield "an f-string"
        if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Mod) and reveals(each):
            yield "a % format"
        if isinstance(each, ast.Raise) and each.exc is not None and reveals(each.exc):
            yield "an exception"
        if isinstance(each, ast.Call) and is_a_telling(each):
            arguments = [*each.args, *(keyword.value for keyword in each.keywords)]
            if any(reveals(a) or names_a_secret(a) for a in arguments):
                yield f"{name_of(each)}()"
            if any(keyword.arg in {"exc_info", "stack_info"} for keyword in each.keywords):
                yield f"{name_of(each)}(exc_info)"


def is_a_telling(call: ast.Call) -> bool:
    return name_of(call) in TELLING


def names_a_secret(node: ast.AST) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and (
        (node.id if isinstance(node, ast.Name) else node.attr) in NAMES_OF_SECRETS
    )


def test_tokens_are_revealed_in_these_functions_only() -> None:
    found = {(module, node.name) for module, node in functions() if reveals(node)}
    assert found - ALLOWED == set(), "may it? Then it belongs to ALLOWED, with a reason"
    assert ALLOWED - found == set(), "these reveal nothing any more"


def test_no_token_is_written_into_a_text_a_log_or_an_error() -> None:
    found = [
        f"{module}: {what}"
        for module, path in MODULES.items()
        for what in tells_a_secret(ast.parse(path.read_text()))
    ]
    # The one f-string is the header itself, and that is a `Header`, which does not show itself.
    assert found == ["clients.second_line: an f-string"]


def test_no_logger_writes_what_a_strangers_error_says() -> None:
    found = [
        f"{module}: {name_of(call)}()"
        for module, path in MODULES.items()
        for call in calls_in(ast.parse(path.read_text()))
        if name_of(call) in WRITERS or is_of_a_logger(call, "exception")
    ]
    assert found == []


def is_of_a_logger(call: ast.Call, name: str) -> bool:
    function = call.func
    is_name = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
    return name_of(call) == name and is_name and "log" in function.value.id  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "source",
    [
        "f'{secret.reveal()}'",
        "'%s' % secret.reveal()",
        "'{}'.format(secret.reveal())",
        "logger.debug('sent %s', secret.reveal())",
        "logger.info('sent %s', token)",
        "logger.warning('sent', extra=self.refresh_token)",
        "logger.error('failed', exc_info=True)",
        "print(grant.access)",
        "self.stdout.write(password)",
        "raise ValueError(secret.reveal())",
        "raise ValueError(f'{secret.reveal()} is odd')",
    ],
)
def test_the_rule_sees_it(source: str) -> None:
    assert list(tells_a_secret(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    ["issuer.revoke(secret.reveal())", "logger.info('%s', service)", "f'{secret}'", "a = b % c"],
)
def test_the_rule_lets_the_rest_be(source: str) -> None:
    assert not list(tells_a_secret(ast.parse(source)))
