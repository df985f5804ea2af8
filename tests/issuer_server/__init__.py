"""A strict issuer over real HTTP, and the API that its tokens open. Standard library and PyJWT.

Refresh tokens are truly single-use: presented again, the whole login is revoked. simplejwt alone
hides that mistake, since under concurrent refreshes it grants one token many times over.

    with serve(lifetime=15) as issuer:              # in this process
    with serve_process(lifetime=15) as issuer:      # in one of its own; the same verbs
        pair = issuer.pair_for("alice")
        issuer.hold()                               # refreshes wait inside the issuer ...
        issuer.wait_inside(1)
        issuer.release()                            # ... until told
        issuer.fail("drop-after")                   # rotates, then closes without an answer
        assert issuer.most_presented() == 1
"""

from tests.issuer_server.issuer import StrictIssuer, serve
from tests.issuer_server.remote import RemoteIssuer, serve_process
from tests.issuer_server.wire import fingerprint

__all__ = ["RemoteIssuer", "StrictIssuer", "fingerprint", "serve", "serve_process"]
