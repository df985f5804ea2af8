"""What the project has written into `JWT_OUTBOUND`, before anything of it is believed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.conf import settings
from django.utils.module_loading import import_string

from jwt_outbound.conf import SHARED_KEYS, Service, Settings, get_service, issuer_of
from jwt_outbound.issuers import Issuer

MISSING = object()


class Entry(NamedTuple):
    """One value, and where it stands: in the top level, or in one service."""

    where: str
    """As the project would write it: `JWT_OUTBOUND['SERVICES']['billing']['LEASE']`."""
    key: str
    value: Any


@dataclass(frozen=True)
class Given:
    """The raw dict, with the definitions that are dicts at all."""

    top: Mapping[Any, Any] = field(default_factory=dict)
    services: Mapping[str, Mapping[Any, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls) -> "Given":
        """As the settings are now; what has the wrong shape counts as absent."""
        top = getattr(settings, "JWT_OUTBOUND", None)
        if not isinstance(top, Mapping):
            return cls()
        services = top.get("SERVICES")
        if not isinstance(services, Mapping):
            return cls(top)
        return cls(top, {n: d for n, d in services.items() if is_definition(n, d)})

    def entries(self, *keys: str) -> Iterator[Entry]:
        """Every place where one of `keys` is set, the top level first."""
        for key in keys:
            if key in self.top:
                yield Entry(f"JWT_OUTBOUND[{key!r}]", key, self.top[key])
            for name, definition in self.services.items():
                if key in definition:
                    yield Entry(f"{where(name)}[{key!r}]", key, definition[key])

    def of_app(self, key: str) -> Any:
        """A setting of the whole app, or its default."""
        return self.top.get(key, getattr(Settings(), key.lower()))

    def of_service(self, name: str, key: str) -> Any:
        """A setting of one service: its own, else the one for all, else the default."""
        shared = self.top.get(key, MISSING) if key in SHARED_KEYS else MISSING
        value = self.services[name].get(key, shared)
        return getattr(Service(name=name), key.lower()) if value is MISSING else value


def is_definition(name: object, definition: object) -> bool:
    """Whether both are what they must be, so that other rules can speak of them."""
    return isinstance(name, str) and isinstance(definition, Mapping)


def where(service: str) -> str:
    """The place of a service's definition in the settings."""
    return f"JWT_OUTBOUND['SERVICES'][{service!r}]"


def is_whole(value: object, least: int) -> bool:
    """Whether it is a whole number, `least` or more; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def imported(path: object) -> Any:
    """What a dotted path names, or None; a project's module may raise anything at import."""
    if not isinstance(path, str):
        return None
    try:
        return import_string(path)
    except Exception:  # noqa: BLE001
        return None


def configured(name: str) -> Service | None:
    """The service as calls will see it; None where another rule has said why it has none."""
    try:
        return get_service(name)
    except Exception:  # noqa: BLE001 - the settings may hold anything
        return None


def issuer_made(name: str) -> Issuer | None:
    """The service's issuer, or None where it can't be made or is no issuer."""
    made, _ = make_issuer(name)
    return made


def make_issuer(name: str) -> tuple[Issuer | None, str]:
    """The service's issuer, or the words for what came instead of one."""
    service = configured(name)
    if service is None:
        return None, ""
    try:
        made = issuer_of(service)
    except Exception as error:  # noqa: BLE001 - whatever the project's constructor raises
        return None, getattr(error, "why", type(error).__name__)
    if not isinstance(made, Issuer):
        return None, f"it is a {type(made).__name__}"
    return made, ""
