"""The site's part, in a process of its own: `python -m tests.runners.visit NAME CALLS`.

Without a user of that name, one is made with the pair that is read from standard input, due.
Prints what the calls got, and the row.
"""

import json
import sys


def main(name: str, calls: int) -> None:
    import django

    django.setup()

    from django.contrib.auth import get_user_model

    from jwt_outbound.models import TokenPair
    from jwt_outbound.tokens import fetch_valid_access_token
    from tests.issuer_server.wire import fingerprint
    from tests.runners import celery_app  # noqa: F401 - a Celery project loads it with the site

    people = get_user_model()
    user = people.objects.filter(username=name).first()
    if user is None:
        user = people.objects.create(username=name)
        TokenPair.objects.store(user=user, service="billing", **json.load(sys.stdin))
        TokenPair.objects.update(refresh_at=1)
    seen = [fingerprint(fetch_valid_access_token("billing", user)) for _ in range(calls)]
    row = TokenPair.objects.get(user_id=user.pk)
    print(json.dumps({"tokens": seen, "generation": row.generation}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
