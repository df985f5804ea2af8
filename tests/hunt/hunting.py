"""The hunt itself: what it keeps, what it listens to, and leaks that are planted to try it."""

import http.client
import logging
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.mail import mail_admins

from jwt_outbound.ciphers import Sealer
from jwt_outbound.exceptions import JWTOutboundError
from jwt_outbound.faults import clear_frames_of
from jwt_outbound.models import TokenPair
from jwt_outbound.secret import Secret
from jwt_outbound.testing import drain
from tests.hunt.drivers import DRIVERS
from tests.hunt.needles import Needles
from tests.hunt.outlets import Listener, Outlets, all_loggers, our_signals
from tests.hunt.situations import PASSWORD, Scene

FOREIGN_SESSIONS = {"clients.TokenPairAuth", "clients.httpx.TokenPairAuth"}
"""On the project's own sessions: outside of a request, their frames are the project's to clear."""


class Hunt:
    def __init__(self) -> None:
        self.needles, self.outlets = Needles(), Outlets()

    def note_all_secrets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever is wrapped as a secret, or sealed, is one."""
        make, seal, needles = Secret.__init__, Sealer.seal, self.needles

        def make_and_note(self: Secret, value: str) -> None:
            needles.add(value, "a token")
            make(self, value)

        def note_and_seal(self: Sealer, token: str, kind: str) -> bytes:
            needles.add(token, "a token")
            return seal(self, token, kind)

        monkeypatch.setattr(Secret, "__init__", make_and_note)
        monkeypatch.setattr(Sealer, "seal", note_and_seal)

    def attempt(self, way: str, user: Any, path: str) -> None:
        try:
            for thing in DRIVERS[way](user, path):
                self.outlets.examine(f"what {way} hands over", thing)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is searched
            if way in FOREIGN_SESSIONS and not isinstance(error, JWTOutboundError):
                clear_frames_of(error)
            self.outlets.examine(f"what {way} raises", error)
        finally:
            drain()


class listening:  # noqa: N801
    """Everything at DEBUG, and `http.client` as talkative as it can be."""

    def __init__(self, outlets: Outlets, monkeypatch: pytest.MonkeyPatch) -> None:
        self._listener = Listener(outlets)
        self._outlets = outlets
        self._monkeypatch = monkeypatch

    def __enter__(self) -> None:
        for logger in all_loggers():
            self._monkeypatch.setattr(logger, "disabled", False)
            self._monkeypatch.setattr(logger, "propagate", True)
            logger.setLevel(logging.DEBUG)
        logging.root.addHandler(self._listener)
        self._monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
        for signal in our_signals().values():
            signal.connect(self._hear)

    def __exit__(self, *exc: object) -> None:
        logging.root.removeHandler(self._listener)
        for logger in all_loggers():
            logger.setLevel(logging.NOTSET)
        logging.root.setLevel(logging.WARNING)
        for signal in our_signals().values():
            signal.disconnect(self._hear)

    def _hear(self, **arguments: Any) -> None:
        self._outlets.examine("signals", arguments, *arguments.values())


def obtain_and_revoke(hunt: Hunt, user: Any) -> None:
    objects = TokenPair.objects
    try:
        pair = objects.obtain(user=user, service="billing", username="alice", password=PASSWORD)
        hunt.outlets.examine("a pair", pair)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is searched
        hunt.outlets.examine("what obtain() raises", error)
    try:
        objects.revoke(user=user, service="billing")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is searched
        hunt.outlets.examine("what revoke() raises", error)


def plant(place: str, token: str, scene: Scene, hunt: Hunt) -> None:
    match place:
        case "log":
            logging.getLogger("anybody").debug("sent %s", {"Authorization": token})
        case "page":
            hunt.outlets.note("a page", f"<pre>{token}</pre>")
        case "mail":
            mail_admins("an error", token)
        case "signal":
            our_signals()["token_pair_refreshed"].send_robust(sender=TokenPair, code=token)
        case "database":
            User.objects.filter(pk=scene.user.pk).update(first_name=token)
        case "frame":
            try:
                raise RuntimeError("nothing in here")
            except RuntimeError as error:
                hunt.outlets.examine("a frame", error)
