"""The how-to for fleets: its units and manifests are well-formed, and name what there is."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import load_command_class
from django.utils.module_loading import import_string

PAGE = Path(__file__).resolve().parent.parent / "docs" / "howto" / "fleet.md"
TEXT = PAGE.read_text()


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", TEXT, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def calls() -> list[list[str]]:
    """The arguments of each call of the command: in consoles, units, crontabs and manifests."""
    plain = re.findall(r"manage\.py refresh_token_pairs([^#>\n\"`]*)", TEXT)
    listed = re.findall(r'"refresh_token_pairs"((?:, "[^"]+")*)', TEXT)
    return [shlex.split(each) for each in plain] + [
        re.findall(r'"([^"]+)"', each) for each in listed
    ]


def test_the_command_knows_all_the_options() -> None:
    parser = load_command_class("jwt_outbound", "refresh_token_pairs").create_parser("", "")
    given = calls()
    assert len(given) >= 9
    for arguments in given:
        parser.parse_args(arguments)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    units = []
    for code in blocks("ini"):
        name = Path(code.splitlines()[0].removeprefix("# ")).name
        # This machine has neither the project nor its user.
        here = code.replace("/srv/mysite/.venv/bin/python", shutil.which("python3") or "/bin/true")
        (tmp_path / name).write_text(here.replace("/srv/mysite", "/tmp"))
        units.append(str(tmp_path / name))
    assert len(units) == 3
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True
    )
    about = [line for line in done.stderr.splitlines() if "refresh-token-pairs" in line]
    assert (done.returncode, about) == (0, [])


def test_the_manifests_are_yaml_and_name_their_kind() -> None:
    manifests: list[Any] = [yaml.safe_load(code) for code in blocks("yaml")]
    assert [manifest["kind"] for manifest in manifests] == ["Deployment", "CronJob"]


def test_the_code_runs_and_the_runners_exist() -> None:
    names: dict[str, Any] = {"JWT_OUTBOUND": {}, "__name__": "page_fleet"}
    for code in blocks("python"):
        if "signal.signal" not in code:
            exec(compile(code, PAGE.name, "exec"), names)  # noqa: S102
            runner = names["JWT_OUTBOUND"].get("REFRESH_AHEAD_RUNNER")
            assert runner is None or callable(import_string(runner))


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", TEXT):
        assert (PAGE.parent / target).exists(), target
