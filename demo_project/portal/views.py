"""The portal's pages and buttons. `request.outbound["billing"]` is all they need to call billing.

None of them catches `LoginRequired` or `TemporarilyUnavailable`: OutboundMiddleware turns them
into the login page or a 503.
"""

from typing import Any

from django.db import transaction
from django.http import HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.text import Truncator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from requests import Response

from demo_project.portal.answers import MemberRequest, Outcome, members_only
from demo_project.portal.billing_api import call_at_once, control, summary_by_graphql
from demo_project.portal.pair_state import history, pair_state

CALLS_AT_ONCE = 50
OUTAGE_SECONDS = 20


@require_GET
@never_cache
@members_only
def home(request: MemberRequest) -> HttpResponse:
    facts = {"pair": pair_state(request.user), "history": history(request.user)}
    return render(request, "portal/home.html", facts)


@require_GET
@never_cache
@members_only
def status(request: MemberRequest) -> JsonResponse:
    """Polled by the page. It only looks: the pair runs down while it watches."""
    return JsonResponse(
        {
            "user": request.user.get_username(),
            "pair": pair_state(request.user).as_dict(),
            "history": history(request.user),
            "billing": _billing_state(request),
        }
    )


@require_POST
@members_only
def call(request: MemberRequest) -> HttpResponseBase:
    answer = request.outbound["billing"].get("invoices/")
    return _billing_said(answer).respond(request)


@require_POST
@members_only
def add_invoice(request: MemberRequest) -> HttpResponseBase:
    invoice = {name: request.POST.get(name, "") for name in ("customer", "amount")}
    answer = request.outbound["billing"].post("invoices/", json=invoice)
    return _billing_said(answer).respond(request)


@require_POST
@members_only
def graphql(request: MemberRequest) -> HttpResponseBase:
    summary = summary_by_graphql(request.user)
    headline = f"GraphQL: {summary['username']}'s invoices come to {summary['total']}."
    return Outcome(headline=headline, status=200, invoices=summary["invoices"]).respond(request)


@require_POST
@members_only
def at_once(request: MemberRequest) -> HttpResponseBase:
    before = _refresh_requests(request)
    outcomes = call_at_once(request.user, CALLS_AT_ONCE)
    refreshes = _refresh_requests(request) - before
    succeeded = outcomes.pop("200", 0)
    others = "".join(f" {count} ended in {what}." for what, count in outcomes.items())
    headline = (
        f"{succeeded} of {CALLS_AT_ONCE} calls at once succeeded; billing's token endpoint "
        f"saw {refreshes} refresh request{'' if refreshes == 1 else 's'}.{others}"
    )
    return Outcome(headline=headline, good=succeeded == CALLS_AT_ONCE).respond(request)


@require_POST
@members_only
@transaction.atomic
def failing(request: MemberRequest) -> HttpResponseBase:
    """What `ATOMIC_REQUESTS` does to a view that raises: all it wrote is rolled back.

    A token pair that was refreshed on the way is not.
    """
    request.outbound["billing"].get("invoices/")
    raise RuntimeError("The demo's button for a view that fails after its call was pressed.")


@require_POST
@members_only
def outage(request: MemberRequest) -> HttpResponseBase:
    control("outage/", {"seconds": OUTAGE_SECONDS})
    headline = f"Billing's token endpoint is down for {OUTAGE_SECONDS} seconds."
    return Outcome(headline=headline).respond(request)


@require_POST
@members_only
def revoke(request: MemberRequest) -> HttpResponseBase:
    """What an administrator of billing could do; the portal is not told and has to find out."""
    name = request.user.get_username()
    revoked = control(f"{name}/revoke/", {})["revoked"]
    told = "Billing has revoked your login there. The portal does not know yet: call billing."
    headline = told if revoked else f"Billing has no login of {name} to revoke."
    return Outcome(headline=headline, good=bool(revoked)).respond(request)


def _billing_said(answer: Response) -> Outcome:
    found: Any = answer.json() if answer.ok else []
    invoices = found if isinstance(found, list) else [found]
    if not answer.ok:
        headline = f"Billing answered {answer.status_code}: {Truncator(answer.text).chars(200)}"
    elif answer.status_code == 201:
        headline = f"Billing made invoice {found['number']}."
    else:
        headline = f"Billing answered with {len(invoices)} invoices."
    return Outcome(headline=headline, good=answer.ok, status=answer.status_code, invoices=invoices)


def _refresh_requests(request: MemberRequest) -> int:
    return int(control(f"{request.user.get_username()}/")["refresh_requests"])


def _billing_state(request: MemberRequest) -> dict[str, Any] | None:
    """None where billing does not tell: it is down, or does not know this user."""
    try:
        return control(f"{request.user.get_username()}/")
    except OSError:
        return None
