"""The README's quickstart, run as it stands, against a real issuer and API over HTTP."""

import re
from pathlib import Path
from types import EllipsisType
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import RequestFactory, override_settings

from jwt_outbound.middleware import OutboundMiddleware
from tests.issuer_server import StrictIssuer, serve

README = Path(__file__).resolve().parent.parent / "README.md"
PUBLISHED = "https://billing.example/api/"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def run(source: str, names: dict[str, Any], issuer: StrictIssuer) -> None:
    exec(compile(source.replace(PUBLISHED, issuer.base_url), "README.md", "exec"), names)  # noqa: S102


def quickstart_settings(issuer: StrictIssuer) -> dict[str, Any]:
    """The first block as a project has it: where it says `...`, what the tests have."""
    written: dict[str, Any] = {}
    run(blocks("python")[0], written, issuer)
    service = written["JWT_OUTBOUND"]["SERVICES"]["billing"]
    service["OPTIONS"] = {key: issuer.options[key] for key in service["OPTIONS"]}
    return {
        name: [
            part
            for item in written[name]
            for part in (getattr(settings, name) if isinstance(item, EllipsisType) else [item])
        ]
        for name in ("INSTALLED_APPS", "MIDDLEWARE")
    } | {"JWT_OUTBOUND": written["JWT_OUTBOUND"]}


@pytest.mark.django_db(transaction=True)
def test_the_quickstart_runs(django_user_model: type[User]) -> None:
    _, store, view, anywhere, existing, testing = blocks("python")
    user = django_user_model.objects.create_user("alice")
    with serve() as issuer:
        written = quickstart_settings(issuer)
        assert "jwt_outbound" in written["INSTALLED_APPS"]
        assert "jwt_outbound.middleware.OutboundMiddleware" in written["MIDDLEWARE"]
        names: dict[str, Any] = {"user": user, **issuer.pair_for("alice")}
        with override_settings(JWT_OUTBOUND=written["JWT_OUTBOUND"]):
            run(store, names, issuer)
            run(view, names, issuer)
            request = RequestFactory().get("/")
            request.user = user
            response = OutboundMiddleware(names["invoices"])(request)
            assert response.status_code == 200  # type: ignore[union-attr]
            run(anywhere, names, issuer)
            run(existing, names, issuer)
            assert names["token"]
            assert len(issuer.requests("api")) == 4
            run(testing, names, issuer)


def test_all_python_of_the_readme_is_run() -> None:
    assert len(blocks("python")) == 6


def test_the_two_commands_are_make_targets() -> None:
    makefile = (README.parent / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", "".join(blocks("console")), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", README.read_text()):
        assert (README.parent / target).exists(), target
