"""TLS for `requests` and urllib3, with one context for each bundle of certificate authorities.

`requests` reads the bundle anew for each connection that it opens. That takes tens of milliseconds
of CPU: several times all the rest of a refresh, whose connection is never used twice.
"""

import os
from collections.abc import Iterable
from functools import lru_cache
from ssl import SSLContext
from stat import S_ISREG
from typing import Any, Final

from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import ALPN_PROTOCOLS, create_urllib3_context

Version = tuple[int, ...]

_PLAIN: Final = {"cert_reqs", "ca_certs"}
"""Options of a pool which name no more than a bundle: no folder, no certificate of the client's."""


class TLSAdapter(HTTPAdapter):
    """Its connections share the context, wherever nothing but the bundle makes a difference."""

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> Any:
        """A `verify` that is a path makes a pool of its own here, as its text does at `requests`.
        There, pools know nothing of it: whom the call excludes would be trusted."""
        if isinstance(verify, bytes | os.PathLike):
            verify = os.fsdecode(verify)
        host, options = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] != "https" or options["cert_reqs"] != "CERT_REQUIRED":
            return host, options
        bundle = options.get("ca_certs", DEFAULT_CA_BUNDLE_PATH)
        if options.keys() - _PLAIN or version_of(bundle) is None:
            return host, options
        return host, options_for(bundle)

    def cert_verify(self, conn: Any, *args: Any) -> None:
        """Of a shared context urllib3 would read the bundle once more."""
        if "ssl_context" not in conn.conn_kw:
            super().cert_verify(conn, *args)  # type: ignore[no-untyped-call]


def options_for(bundle: str) -> dict[str, Any]:
    """Of a pool of urllib3's that trusts the authorities of this bundle, or of this folder."""
    version = version_of(bundle)
    if version is not None:
        return {"cert_reqs": "CERT_REQUIRED", "ssl_context": _context(bundle, version)}
    place = "ca_cert_dir" if os.path.isdir(bundle) else "ca_certs"
    return {"cert_reqs": "CERT_REQUIRED", place: bundle}


def version_of(bundle: Any) -> Version | None:
    """Differs once the file has been replaced; True is the usual one. None: it is no file."""
    path = DEFAULT_CA_BUNDLE_PATH if bundle is True else bundle
    if not isinstance(path, str):
        return None
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size) if S_ISREG(found.st_mode) else None


@lru_cache(maxsize=8)
def _context(bundle: str, version: Version) -> SSLContext:
    """urllib3's own, which has read the bundle."""
    context = create_urllib3_context()
    context.load_verify_locations(bundle)
    context.set_alpn_protocols(ALPN_PROTOCOLS)
    # urllib3 sets them again for each connection: OpenSSL frees what another thread's handshake
    # may be reading at that moment.
    context.set_alpn_protocols = _as_they_are  # type: ignore[method-assign]
    return context


def _as_they_are(alpn_protocols: Iterable[str]) -> None:
    pass
