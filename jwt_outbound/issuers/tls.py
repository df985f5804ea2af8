"""TLS contexts for the connections to issuers: one for each bundle of certificate authorities.

`requests` reads the bundle anew for each connection. That takes several times as long as all the
rest of a refresh, and a connection to an issuer is never used twice.
"""

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ssl import SSLContext
from typing import Any

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import ALPN_PROTOCOLS, create_urllib3_context


def with_shared_context(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """A connection pool's TLS options, with a context that has read the bundle already.

    The same options where that is no file: of a folder OpenSSL reads what it needs.
    """
    bundle = options.get("ca_certs", DEFAULT_CA_BUNDLE_PATH)
    if options["cert_reqs"] != "CERT_REQUIRED" or "ca_cert_dir" in options:
        return options
    if not os.path.isfile(bundle):
        return options
    found = os.stat(bundle)
    context = _context(bundle, found.st_ino, found.st_mtime_ns, found.st_size)
    others = {name: value for name, value in options.items() if name != "ca_certs"}
    return {**others, "ssl_context": context}


@lru_cache(maxsize=8)
def _context(bundle: str, *version: int) -> SSLContext:
    """urllib3's own. A bundle that has been replaced is another one."""
    context = create_urllib3_context()
    context.load_verify_locations(bundle)
    context.set_alpn_protocols(ALPN_PROTOCOLS)
    # urllib3 sets them again for each connection: OpenSSL frees what another thread's handshake
    # may be reading at that moment.
    context.set_alpn_protocols = _as_they_are  # type: ignore[method-assign]
    return context


def _as_they_are(alpn_protocols: Iterable[str]) -> None:
    pass
