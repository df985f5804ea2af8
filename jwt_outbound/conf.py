"""`settings.JWT_OUTBOUND`, read when it is used, as frozen dataclasses. Never written."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import unquote

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from jwt_outbound.clock import SECOND
from jwt_outbound.exceptions import ForeignOrigin, ServiceNotConfigured
from jwt_outbound.freshness import Windows

if TYPE_CHECKING:
    from jwt_outbound.issuers import Issuer

_ABSOLUTE = re.compile(r"([a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_QUERY = re.compile("[?#]")

MARGIN = 1.0
"""Seconds that a lease must outlive the issuer's deadline by: the time for the save."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Service:
    """One remote API. All durations are seconds."""

    name: str
    base_url: str = ""
    issuer: Any = None
    """A dotted path, a class or an instance."""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The issuer's arguments, a client's secret among them: no traceback shows them."""
    auth_scheme: str = "Bearer"
    allow_http: bool = False
    allowed_origins: tuple[str, ...] = ()
    """Further origins that may get the token, as `https://host[:port]`."""
    timeout: float | None = 10
    """The default of an API call, as requests means it."""
    issuer_deadline: float = 8
    """Total time for one exchange with the issuer."""
    lease: float = 12
    exchanges_per_second: float | None = None
    """What all hosts together may send to the issuer; None: there is no budget."""
    exchanges_at_once: int | None = None
    """What one process may have under way at the issuer; None: half of its threads."""
    wait: float = 20
    """How long a caller waits for a refresh."""
    leeway: float | None = None
    refresh_ahead: float | None = None
    """The ahead window; 0 turns refreshing ahead off."""
    replay_window: float | None = None
    """How long the issuer answers a spent refresh token with its successor (a grace window);
    None: as the issuer's profile says, else 0."""
    default_lifetime: float | None = None
    """For access tokens that are no JWT, from an issuer that sends no `expires_in`."""
    on_refusal: Literal["logout", "reconnect"] = "logout"
    refusals_per_minute: int | None = 30
    """More of them raise the alarm; None turns it off."""
    connect_url: str | None = None
    login: bool = False
    link_existing: bool = False
    create_users: bool = True

    @property
    def own_urls(self) -> tuple[str, ...]:
        """URLs whose origins may get the token."""
        return (self.base_url, *self.allowed_origins)

    @property
    def windows(self) -> Windows:
        """The two windows of design section 3.2, in microseconds."""
        return Windows(leeway=_micro(self.leeway), ahead=_micro(self.refresh_ahead))

    def url(self, path: str) -> str:
        """`path` below `BASE_URL`, with or without a leading slash; absolute URLs as they are.

        Raises `ForeignOrigin` for a path that climbs out with `..`, plain or encoded.
        """
        if _ABSOLUTE.match(path):
            return path
        if _climbs(path):
            raise ForeignOrigin(
                f"The path leaves the BASE_URL of service {self.name!r}.", service=self.name
            )
        return f"{self.base_url.rstrip('/')}/{path.lstrip('/')}"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole dict. Keys of a service may also stand beside SERVICES, for all of them."""

    services: Mapping[str, Service] = field(default_factory=dict)
    encryption_keys: tuple[str, ...] | str = field(default=(), repr=False)
    """Newest first, or the dotted path of a function that returns them."""
    database: str = "default"
    flight_threads: int = 8
    flight_context: str | None = None
    graceful_stop: float = 30
    """Seconds that the server grants a worker to end in."""
    refresh_ahead_runner: str = "thread"
    memory: float = 5
    """How long a client trusts its own copy of a fresh token; 0 turns the copy off."""
    epoch_cache: float = 0


SERVICE_KEYS = {f.name.upper() for f in dataclasses.fields(Service)} - {"NAME"}
SHARED_KEYS = SERVICE_KEYS - {"BASE_URL", "ISSUER", "OPTIONS", "LOGIN", "CONNECT_URL"}
GLOBAL_KEYS = {f.name.upper() for f in dataclasses.fields(Settings)} | SHARED_KEYS

_parsed: tuple[Any, Settings] | None = None


def get_settings() -> Settings:
    """The settings as they are now.

    Parsed once for each `JWT_OUTBOUND` object, so an `override_settings` is seen at once. Unknown
    keys are ignored here; the system checks name them.
    """
    global _parsed
    raw = getattr(settings, "JWT_OUTBOUND", None)
    known = _parsed
    if known is None or known[0] is not raw:
        known = _parsed = (raw, _parse_or_explain(raw or {}))
    return known[1]


def get_service(name: str) -> Service:
    """The service called `name`. Raises `ServiceNotConfigured`, which names those that exist."""
    services = get_settings().services
    try:
        return services[name]
    except KeyError:
        known = ", ".join(sorted(services)) or "none"
        raise ServiceNotConfigured(
            f"There is no service {name!r} in JWT_OUTBOUND['SERVICES']; configured: {known}."
        ) from None


class IssuerNotMade(ImproperlyConfigured):
    """`why`: what came instead, by its type."""

    def __init__(self, service: str, why: str) -> None:
        super().__init__(
            f"The ISSUER of service {service!r} can't be made: {why}."
            " It must be a dotted path, a class or an instance, and OPTIONS its arguments."
        )
        self.why = why.partition(" ")[0]

    def __reduce__(self) -> Any:
        return ImproperlyConfigured, self.args


@lru_cache(maxsize=64)
def issuer_of(service: Service) -> Issuer:
    """The issuer of `service`, made once from its `ISSUER` and `OPTIONS`.

    Raises `ImproperlyConfigured` where it can't be made.
    """
    made, why = service.issuer, ""
    try:
        if isinstance(made, str):
            made = import_string(made)
        if isinstance(made, type):
            made = made(**service.options)
    except (ImportError, TypeError, ValueError) as error:
        why = _why_not(error)
    if why:
        # Not chained: what a constructor says may repeat an option, and that may be a secret.
        raise IssuerNotMade(service.name, why)
    if not callable(getattr(made, "exchange", None)):
        raise ImproperlyConfigured(
            f"The ISSUER of service {service.name!r} has no exchange(refresh_token, deadline)."
        )
    return cast("Issuer", made)


def _why_not(error: Exception) -> str:
    """Its type; Python's own words too where the arguments did not fit, which name no values."""
    traceback = error.__traceback__
    is_the_call = traceback is not None and traceback.tb_next is None
    kind = type(error).__name__
    return f"{kind} ({error})" if is_the_call and isinstance(error, TypeError) else kind


def seconds(value: float | timedelta | None) -> float | None:
    """A duration of the settings as seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def micro(value: float) -> int:
    """Seconds as the protocol's microseconds."""
    return round(value * SECOND)


def _micro(value: float | None) -> int | None:
    return None if value is None else micro(value)


def _climbs(path: str) -> bool:
    """Whether a segment is `..` for some server: encoded, with parameters, behind a backslash."""
    if "." not in path and "%" not in path:
        return False
    plain = unquote(_QUERY.split(path, maxsplit=1)[0]).replace("\\", "/")
    segments = "".join(c for c in plain if c > " ").split("/")
    return any(segment.partition(";")[0] == ".." for segment in segments)


def _parse_or_explain(raw: Any) -> Settings:
    try:
        return _parse(raw)
    except TypeError:
        # Without its cause: that might show a value, and a value might be a key.
        raise ImproperlyConfigured(
            "Something in JWT_OUTBOUND is of the wrong kind; `manage.py check` says what."
        ) from None


def _parse(raw: Any) -> Settings:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("SERVICES", {}), Mapping):
        raise ImproperlyConfigured("JWT_OUTBOUND and its SERVICES must be dicts.")
    shared = {key: raw[key] for key in SHARED_KEYS & raw.keys()}
    services = {
        name: _service(name, {**shared, **definition})
        for name, definition in raw.get("SERVICES", {}).items()
    }
    own = {key: value for key, value in raw.items() if key in GLOBAL_KEYS - SHARED_KEYS}
    keys = raw.get("ENCRYPTION_KEYS") or ()
    own.update(SERVICES=services, ENCRYPTION_KEYS=keys if isinstance(keys, str) else tuple(keys))
    return cast(Settings, _build(Settings, own))


def _service(name: str, raw: Mapping[str, Any]) -> Service:
    own = {key: value for key, value in raw.items() if key in SERVICE_KEYS}
    if "ALLOWED_ORIGINS" in own:
        own["ALLOWED_ORIGINS"] = tuple(own["ALLOWED_ORIGINS"])
    return cast(Service, _build(Service, {"NAME": name, **own}))


def _build(kind: type[Any], raw: Mapping[str, Any]) -> Any:
    return kind(**{key.lower(): seconds(value) for key, value in raw.items()})
