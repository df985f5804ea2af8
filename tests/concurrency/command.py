"""A project's own command that calls for a user: `python -m tests.concurrency.command WHO`.

`WHO`: service and user as JSON. Of SIGTERM it makes Python's own end of a process, as it should.
"""

import json
import signal
import sys


def main(service: str, user: int) -> None:
    import django

    django.setup()

    from jwt_outbound.tokens import fetch_valid_access_token
    from tests.concurrency.ending import say_when_ending

    say_when_ending()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    fetch_valid_access_token(service, user)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
