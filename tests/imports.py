"""What the package's modules import, read from their source without running it.

`if TYPE_CHECKING:` blocks are not imports, imports in functions are. Names are relative to the
package.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "jwt_outbound"


def module_name(path: Path, package: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def find_modules() -> dict[str, Path]:
    package = ROOT / PACKAGE
    found = {module_name(path, package): path for path in sorted(package.rglob("*.py"))}
    found.pop("", None)  # the package itself: a version, and nothing to import
    return found


MODULES = find_modules()


FOR_TYPING_ONLY = {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def walk_runtime(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in FOR_TYPING_ONLY:
            for statement in child.orelse:
                yield statement
                yield from walk_runtime(statement)
            continue
        yield child
        yield from walk_runtime(child)


def imported_names(tree: ast.AST, package: str) -> Iterator[str]:
    """Every dotted name that is imported; `package` is what a relative import starts from."""
    for node in walk_runtime(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            steps = package.split(".")
            above = steps[: len(steps) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def imports_of(module: str) -> Iterator[str]:
    path = MODULES[module]
    inside = module if path.name == "__init__.py" else module.rpartition(".")[0]
    package = f"{PACKAGE}.{inside}" if inside else PACKAGE
    yield from imported_names(ast.parse(path.read_text()), package)


def own_imports_of(module: str) -> set[str]:
    """The package's own modules that `module` imports; `x.y.Name` counts as the module `x.y`."""
    found = set()
    for name in imports_of(module):
        root, _, inner = name.partition(".")
        while root == PACKAGE and inner and inner not in MODULES:
            inner = inner.rpartition(".")[0]
        if root == PACKAGE and inner and inner != module:
            found.add(inner)
    return found
