"""`site` for gunicorn. With --preload, workers are forked while the early call is under way."""

import json
import os
import threading

from django.core.wsgi import get_wsgi_application

EARLY_CALL = "JWT_OUTBOUND_EARLY_CALL"
"""Service, user and issuer of a call that is made while the site is loaded."""


def call_early(service: str, user: int, issuer: str) -> None:
    """Returns when the request is inside the issuer, which holds it.

    Not earlier: a process must not fork while one of its threads is in an import, or the child
    waits for that thread's lock for ever. That is Python's own rule.
    """
    from jwt_outbound.tokens import fetch_valid_access_token
    from tests.issuer_server import RemoteIssuer

    who = (service, user)
    threading.Thread(target=fetch_valid_access_token, args=who, daemon=True).start()
    RemoteIssuer(issuer).wait_inside(1)


application = get_wsgi_application()
if EARLY_CALL in os.environ:
    call_early(**json.loads(os.environ[EARLY_CALL]))
