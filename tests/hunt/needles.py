"""What is searched for: each secret that was ever in this process, in every form it could take."""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

WINDOW, STRIDE = 12, 5
"""Windows of a secret are compared with every fifth place of what came out: 16 characters in a row
of a secret's own part are always found."""

SECRET_NAMES = re.compile("SECRET|KEY|PASS|PRIVATE", re.IGNORECASE)
NOISE = re.compile(rb"[^A-Za-z0-9+/=_-]+")


def forms_of(secret: bytes) -> Iterator[bytes]:
    """Clear, backwards, hex, URL-encoded, and base64 at each of the three alignments."""
    yield secret
    yield secret[::-1]
    yield secret.hex().encode()
    yield quote(secret, safe="").encode()
    for lead in range(3):
        padded = bytes(lead) + secret
        # Only what does not depend on the neighbours.
        whole = padded[: len(padded) // 3 * 3]
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(whole)[4 if lead else 0 :]


def own_part(secret: str) -> str:
    """Of a JWT the signature: header and payload are public, and the admin shows them decoded."""
    return secret.rpartition(".")[2] if secret.count(".") == 2 else secret


def secrets_in(settings: Any, name: str = "") -> Iterator[str]:
    """The texts in a setting that stand under a name which says that they are secret."""
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            yield from secrets_in(value, name if SECRET_NAMES.search(name) else str(key))
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from secrets_in(value, name)
    elif isinstance(settings, str) and SECRET_NAMES.search(name):
        yield settings


class Needles:
    """Grows while the features run."""

    def __init__(self) -> None:
        self._secrets: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._secrets)

    def add(self, secret: str, what: str) -> None:
        part = own_part(secret)
        if len(part) >= WINDOW:
            self._secrets.setdefault(part, what)

    def found_in(self, haystack: bytes) -> set[str]:
        """What of the secrets is in `haystack`, as it is or broken up by whatever."""
        windows = self._windows()
        lines = b"\n".join(_unlike(haystack.split(b"\n")))
        return {
            windows[hay[i : i + WINDOW]]
            for hay in (lines, NOISE.sub(b"", lines))
            for i in range(0, len(hay) - WINDOW + 1, STRIDE)
            if hay[i : i + WINDOW] in windows
        }

    def _windows(self) -> dict[bytes, str]:
        return {
            form[i : i + WINDOW]: what
            for secret, what in self._secrets.items()
            for form in forms_of(secret.encode())
            for i in range(len(form) - WINDOW + 1)
        }


def _unlike(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Pages and tracebacks are alike in most of their longer lines; a short one may be a piece."""
    seen = set()
    for line in lines:
        if len(line) < 3 * WINDOW or line not in seen:
            seen.add(line)
            yield line


def joined(things: Iterable[Any]) -> bytes:
    return b"\n".join(t if isinstance(t, bytes) else str(t).encode() for t in things)
