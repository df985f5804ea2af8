"""Where a user is sent, and how they come back."""

import logging
from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, reverse
from django.utils.http import escape_leading_slashes, url_has_allowed_host_and_scheme

from jwt_outbound.conf import get_service, get_settings, issuer_of

logger = logging.getLogger("jwt_outbound")


def connect_url(service: str) -> str | None:
    """`CONNECT_URL` as a URL; without one our own page, where it is in the URLs and of use."""
    if service not in get_settings().services:
        return None
    configured = get_service(service)
    if configured.connect_url:
        return _resolved(configured.connect_url, service)
    try:
        able = issuer_of(configured).obtains_by_password
        return reverse("jwt_outbound:connect", args=[service]) if able else None
    except (NoReverseMatch, ImproperlyConfigured):
        return None


def _resolved(url: str, service: str) -> str | None:
    """Whoever waits for an answer is not to be told of a mistake in the settings."""
    try:
        return resolve_url(url)
    except NoReverseMatch:
        logger.error(
            "The CONNECT_URL of service %r, %r, is no URL and no name of one that takes no "
            "arguments: users are told that they are not connected, and not where to do so.",
            service,
            url,
        )
        return None


def redirect(url: str, request: HttpRequest, message: str) -> HttpResponse:
    """To `url`, which comes back here by `next`; there is no coming back to a POST.

    `message` is for the page at `url`: another site's would not show it, and after the way back
    it would be wrong.
    """
    if is_of_this_site(url, request):
        messages.warning(request, message, fail_silently=True)
    back = _came_from(request) if request.method not in ("GET", "HEAD") else _here(url, request)
    return redirect_to_login(back, url) if back else HttpResponseRedirect(url)


def _here(url: str, request: HttpRequest) -> str:
    own = is_of_this_site(url, request)
    return request.get_full_path() if own else request.build_absolute_uri()


def _came_from(request: HttpRequest) -> str:
    """The page whose form was sent, if it is one of ours."""
    page = request.headers.get("Referer", "")
    own = url_has_allowed_host_and_scheme(
        page, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    parts = urlsplit(page)
    return escape_leading_slashes(parts._replace(scheme="", netloc="").geturl()) if own else ""


def is_here(url: str, request: HttpRequest) -> bool:
    """A redirect from `url` to itself would never end."""
    return urlsplit(url).path == request.path and is_of_this_site(url, request)


def is_of_this_site(url: str, request: HttpRequest) -> bool:
    """Whether `url`, from the settings, names no other host."""
    return urlsplit(url).netloc in ("", request.get_host())
