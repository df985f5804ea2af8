"""Who asks: a browser that shows a page, or a program that reads JSON."""

import sys

from django.http import HttpRequest


def is_program(request: HttpRequest) -> bool:
    """Whether a redirect or a page would be of no use to whoever made the request.

    No `Accept`, or `*/*`, means a browser.
    """
    headers = request.headers
    accept = headers.get("Accept", "").lower()
    if "json" in accept and "html" not in accept:
        return True
    if "json" in (request.content_type or ""):
        return True
    if "HX-Request" in headers or _is_rest_view(request):
        return True
    mode = headers.get("Sec-Fetch-Mode", "")
    if mode == "navigate":
        # No script can say so. A browser adds Authorization itself where a proxy asks for a
        # password, and a web view in an app adds X-Requested-With.
        return False
    return bool(mode) or "X-Requested-With" in headers or "Authorization" in headers


def _is_rest_view(request: HttpRequest) -> bool:
    """Whether one of Django REST framework's views was chosen; it need not be installed."""
    views = sys.modules.get("rest_framework.views")
    match = request.resolver_match
    if views is None or match is None:
        return False
    kind = getattr(match.func, "cls", None)
    return isinstance(kind, type) and issubclass(kind, views.APIView)
