"""The benchmarks run: how fast anything is, no test says."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks import machine, page
from benchmarks.__main__ import Step, figures_of_calls, measure, put_together, run, steps
from benchmarks.figures import Figure, percentile, table
from benchmarks.issuer import issuing

ENGINE = os.environ.get("JWT_OUTBOUND_TEST_DB", "sqlite")
RUNS_ON = [ENGINE] if ENGINE in ("sqlite", "postgresql") else []
ROOT = Path(__file__).resolve().parent.parent


def name_of(step: Step) -> str:
    return " ".join((step.module, *step.options))


@pytest.mark.database
@pytest.mark.parametrize("step", list(steps(RUNS_ON, quick=True)), ids=name_of)
def test_each_one_runs(step: Step) -> None:
    figures = run(step)["figures"]
    assert {figure.database for figure in figures} == {step.database}
    assert all(figure.measured >= 0 for figure in figures)
    assert len(table(figures).splitlines()) == len(figures) > 0


def test_what_fails_is_no_figure() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run(Step("waiting", "oracle"))


def test_the_issuer_is_strict() -> None:
    import requests

    with issuing(delay=0) as issuer:
        (pair,) = issuer.do("pairs", number=1, lifetime=60)
        answers = [
            requests.post(issuer.refresh_url, json={"refresh": token}, timeout=5)
            for token in (pair["refresh"], pair["refresh"], "strange")
        ]
        new = answers[0].json()
        ended = requests.post(issuer.refresh_url, json={"refresh": new["refresh"]}, timeout=5)
        assert [each.status_code for each in (*answers, ended)] == [200, 401, 401, 401]
        counts = issuer.do("counts")
        assert (counts["generations"], counts["presentations"], counts["most"]) == (2, 3, 2)
        assert counts["refused"] == 3


def test_the_api_wants_a_token_that_is_good() -> None:
    import requests

    with issuing(delay=0) as issuer:
        good, old = (
            issuer.do("pairs", number=1, lifetime=60, age=age)[0]["access"] for age in (0, 61)
        )
        said = [
            requests.get(
                issuer.api_url, headers={"Authorization": f"Bearer {token}"}, timeout=5
            ).status_code
            for token in (good, old)
        ]
        assert said == [200, 401]


def test_an_issuer_that_is_down_refuses_connections_and_comes_back() -> None:
    import requests

    with issuing(delay=0) as issuer:
        (pair,) = issuer.do("pairs", number=1, lifetime=60)
        issuer.do("down")
        with pytest.raises(requests.ConnectionError):
            requests.post(issuer.refresh_url, json={"refresh": pair["refresh"]}, timeout=5)
        issuer.do("up")
        answer = requests.post(issuer.refresh_url, json={"refresh": pair["refresh"]}, timeout=5)
        assert answer.status_code == 200


def figure(measured: float, target: float | None, **more: object) -> Figure:
    said = {"benchmark": "waiting", "what": "a | b", "database": "sqlite", **more}
    return Figure(measured=measured, target=target, **said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "met", "share"),
    [
        (figure(1.0, 1.5), True, 1 / 1.5),
        (figure(1.501, 1.5), True, 1.501 / 1.5),
        (figure(1.51, 1.5), False, 1.51 / 1.5),
        (figure(0.5, 0.8, at_least=True), False, 0.8 / 0.5),
        (figure(0.8, 0.8, at_least=True), True, 1.0),
        (figure(0, 0), True, None),
        (figure(1, 0), False, None),
        (figure(7, None), None, None),
    ],
)
def test_a_figure_knows_whether_it_is_met(seen: Figure, met: bool | None, share: float) -> None:
    assert seen.is_met is met
    assert seen.share == (share if share is None else pytest.approx(share))


def test_the_page_lists_everything_and_what_falls_short(tmp_path: Path) -> None:
    figures = [figure(2.0, 1.5), figure(1.0, 1.5), figure(3, 0, unit="", what="waits")]
    results = {
        "machine": machine.describe(["sqlite"]),
        "figures": [asdict(each) for each in figures],
        "begun": {"waiting sqlite": "29 November 16:10"},
    }
    text, picture = (path.read_text() for path in page.write(results, tmp_path))
    table_part, short_part = text.split("## What falls short")
    assert table_part.count("| waiting |") == 3
    assert r"a \| b" in table_part
    assert short_part.count("- waiting, ") == 2
    assert results["machine"]["SQLite"] in text
    assert "waiting sqlite: 29 November 16:10" in text
    assert picture.count("<rect") == 1 + 2  # the paper, and no bar for a target of 0


def test_each_step_is_kept_at_once_and_can_be_measured_anew(tmp_path: Path) -> None:
    file = tmp_path / "var" / "results.json"
    step = Step("due", "sqlite", ("--quick",))
    seen: dict[str, Any] = {
        str(step): {"begun": "old", "figures": [], "peers": None},
        "calls sqlite": {"begun": "before", "figures": ["a GET"], "peers": ["Authlib"]},
    }
    measure([step], seen, file)
    assert json.loads(file.read_text()) == seen
    told = put_together([Step("calls", "sqlite"), step], seen)
    assert told["begun"].pop(str(step)) != "old"
    assert told["begun"] == {"calls sqlite": "before"}
    assert told["peers"] == ["Authlib"]
    assert [each if each == "a GET" else each["benchmark"] for each in told["figures"]] == [
        "a GET",
        "due",
        "due",
    ]


def test_the_calls_are_told_as_figures() -> None:
    found = figures_of_calls({"kept": {"ratio": 0.9, "p50_us": 400, "target": 1.0}}, "sqlite")
    assert [(each.measured, each.is_met) for each in found] == [(0.9, True)]


def test_percentiles() -> None:
    values = [float(value) for value in range(1000)]
    assert (percentile(values, 0.5), percentile(values, 0.999)) == (500.0, 999.0)
    assert percentile([3.0], 0.99) == 3.0


def test_the_results_can_be_read_again(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.due", "--quick", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert [Figure(**each) for each in json.loads(file.read_text())]
    assert "the due query" in done.stdout
