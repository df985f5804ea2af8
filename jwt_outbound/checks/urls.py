"""Does each URL name a place that a token may be sent to?"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error

from jwt_outbound.checks.given import Given
from jwt_outbound.origins import fault_of_url, is_plain_http, origin_of

HTTPS = (
    "Use https://. Where the network itself encrypts (a mesh), say so with "
    '"ALLOW_HTTP": True; loopback addresses and DEBUG may use http:// as they are.'
)


def check_base_url(given: Given) -> Iterator[CheckMessage]:
    for name in given.services:
        fault = _fault_of_base(given.of_service(name, "BASE_URL"))
        if fault:
            yield Error(
                f"The BASE_URL of service {name!r} {fault}.",
                hint='Give the full URL below which its API lies: "https://billing.example/api/".',
                id="jwt_outbound.E005",
            )


def _fault_of_base(url: Any) -> str:
    if not url:
        return "is missing"
    fault = fault_of_url(url)
    if not fault and ("?" in url or "#" in url):
        return "has a query or a fragment, which no path can lie below"
    return fault


def check_https(given: Given) -> Iterator[CheckMessage]:
    for name in given.services:
        if settings.DEBUG or given.of_service(name, "ALLOW_HTTP") is True:
            continue
        for what, url in _api_urls(given, name):
            if _is_open(url):
                yield Error(
                    f"{what} of service {name!r} is plain http: everybody on the way could "
                    "read the tokens.",
                    hint=HTTPS,
                    id="jwt_outbound.E006",
                )
        yield from _check_issuer_urls(given, name)


def _check_issuer_urls(given: Given, name: str) -> Iterator[CheckMessage]:
    options = given.of_service(name, "OPTIONS")
    for key, url in options.items() if isinstance(options, Mapping) else ():
        if isinstance(key, str) and key.endswith("_url") and _is_open(url):
            yield Error(
                f"The OPTION {key!r} of service {name!r} is plain http: everybody on the way "
                "could read refresh tokens and passwords.",
                hint=HTTPS,
                id="jwt_outbound.E007",
            )


def check_origins(given: Given) -> Iterator[CheckMessage]:
    for entry in given.entries("ALLOWED_ORIGINS"):
        value = entry.value
        if not isinstance(value, list | tuple) or not all(map(_is_an_origin, value)):
            yield Error(
                f"{entry.where} must be a list of origins.",
                hint='An origin is scheme, host and perhaps port: ["https://cdn.example:8443"].',
                id="jwt_outbound.E017",
            )


def _api_urls(given: Given, name: str) -> Iterator[tuple[str, Any]]:
    yield "The BASE_URL", given.of_service(name, "BASE_URL")
    origins = given.of_service(name, "ALLOWED_ORIGINS")
    for origin in origins if isinstance(origins, list | tuple) else ():
        yield "One of the ALLOWED_ORIGINS", origin


def plain_http_urls(given: Given, name: str) -> Iterator[str]:
    """Those of the service, and of its issuer's options, by which tokens go unencrypted."""
    options = given.of_service(name, "OPTIONS")
    values = list(options.values()) if isinstance(options, Mapping) else []
    for url in (*(url for _, url in _api_urls(given, name)), *values):
        if _is_open(url):
            yield url


def _is_open(url: Any) -> bool:
    return isinstance(url, str) and is_plain_http(url)


def _is_an_origin(url: Any) -> bool:
    if not isinstance(url, str) or origin_of(url) is None:
        return False
    parts = urlsplit(url)
    return parts.path in {"", "/"} and "?" not in url and "#" not in url


RULES = (check_base_url, check_https, check_origins)
