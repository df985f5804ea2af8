"""The version legs and the wheel: `.venv/bin/python -m nox`, or one of them with `-s tests-3.12`.

A leg whose Python this machine lacks is skipped, and nox's summary names it.
"""

import os
import zipfile
from pathlib import Path

import nox

HERE = Path(__file__).resolve().parent
PACKAGE = "jwt_outbound"
OLDEST_DJANGO = "5.2"
SOME_AT_ONCE = ("-n", "auto", "--dist", "loadfile")
# Processes, kills and browsers do not differ from one Django to the next: `make test` has them.
LONG = (
    "concurrency",
    "simulation",
    "demo",
    "browser",
    "real_issuers",
    "issuer_server",
    "test_benchmarks.py",
)
WITHOUT_LONG = tuple(f"--ignore=tests/{name}" for name in LONG)
# How a process ends does differ, from one Python to the next.
ENDINGS = ("tests/concurrency/test_leaving.py",)
LEGS = {"3.11": OLDEST_DJANGO, "3.12": "6.0", "3.13": "6.1"}  # Python: Django

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["tests", "clients", "wheel"]
nox.options.default_venv_backend = "virtualenv"  # with pip inside, which uv's has not
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True


def pyenv_folders() -> list[str]:
    """pyenv's real interpreters: the names on the PATH may be shims that run nothing."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return [str(folder / "bin") for folder in sorted(versions.glob("*"), reverse=True)]


os.environ["PATH"] = os.pathsep.join([*pyenv_folders(), os.environ["PATH"]])


@nox.session(python=list(LEGS))
def tests(session: nox.Session) -> None:
    """All but the long tests on SQLite, with the Django that goes with this Python."""
    django = LEGS[str(session.python)]
    if os.environ.get("JWT_OUTBOUND_TESTED") == f"{session.python} {django}":
        session.skip(f"Python {session.python} with Django {django} was tested just now")
    session.install("-r", "requirements.txt", "-e", ".", f"Django=={django}.*")
    session.run("python", "-m", "django", "--version")
    sqlite = {"JWT_OUTBOUND_TEST_DATABASES": "sqlite", "JWT_OUTBOUND_TEST_DB": "sqlite"}
    runs = [session.posargs] if session.posargs else [(*SOME_AT_ONCE, *WITHOUT_LONG), ENDINGS]
    for arguments in runs:
        session.run("python", "-m", "pytest", *arguments, env=sqlite)


@nox.session
@nox.parametrize("libraries", ["httpx", "httpx2", "both"])
def clients(session: nox.Session, libraries: str) -> None:
    """The clients with one of the two HTTP libraries, with the other, and with both at once."""
    session.install("-r", "requirements.txt", "-e", ".[httpx,httpx2]")
    absent = {"httpx": "httpx2", "httpx2": "httpx"}.get(libraries)
    if absent:
        session.run("python", "-m", "pip", "uninstall", "--quiet", "--yes", absent)
    session.run(
        "python",
        "-m",
        "pytest",
        *(session.posargs or (*SOME_AT_ONCE, "tests/clients", "tests/test_howto.py")),
        env={"JWT_OUTBOUND_TEST_DATABASES": "sqlite", "JWT_OUTBOUND_TEST_DB": "sqlite"},
    )


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, look into it, and use it in an empty environment with the oldest Django."""
    folder = Path(session.create_tmp())
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), ".")
    built = max(folder.glob("*.whl"), key=lambda path: path.stat().st_mtime)
    check_contents(session, built)
    session.install("--force-reinstall", str(built), f"Django=={OLDEST_DJANGO}.*")
    with session.chdir(folder):
        # -P: neither this folder nor the script's may lend the checkout to the imports
        session.run("python", "-P", str(HERE / "tests" / "wheel_smoke.py"))


def check_contents(session: nox.Session, built: Path) -> None:
    """The wheel holds every file of the package, and nothing of the demo or the tests."""
    inside = {name for name in zipfile.ZipFile(built).namelist() if ".dist-info/" not in name}
    source = {
        path.relative_to(HERE).as_posix()
        for path in (HERE / PACKAGE).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    if source != inside:
        missing, foreign = sorted(source - inside), sorted(inside - source)
        session.error(f"{built.name} lacks {missing} and should not have {foreign}")
    if f"{PACKAGE}/py.typed" not in inside:
        session.error(f"{built.name} has no py.typed")
