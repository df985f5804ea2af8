"""The token endpoint that the demo can take down and whose visitors it counts."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import jwt
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView


class TokenEndpointDown(APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The token endpoint is down."
    default_code = "down"


class Outage:
    """A stretch of time, kept in memory: billing runs as one process."""

    def __init__(self) -> None:
        self._ends = 0.0

    def begin(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def seconds_left(self) -> float:
        return max(0.0, self._ends - time.monotonic())


class RefreshTally:
    """How many refresh requests have come, per user id and answered or not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrived: Counter[str] = Counter()

    def count(self, user_id: str) -> None:
        with self._lock:
            self._arrived[user_id] += 1

    def of(self, user_id: str) -> int:
        with self._lock:
            return self._arrived[user_id]


outage = Outage()
tally = RefreshTally()


def claimed_user_id(body: Any) -> str:
    """Whom the refresh token in a request says it belongs to: good enough to count by."""
    refresh = body.get("refresh") if isinstance(body, Mapping) else None
    try:
        claims = jwt.decode(str(refresh), options={"verify_signature": False})
    except jwt.PyJWTError:
        return ""
    return str(claims.get("user_id", ""))


class InterruptibleObtainView(TokenObtainPairView):
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if outage.seconds_left():
            raise TokenEndpointDown


class CountedRefreshView(TokenRefreshView):
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        tally.count(claimed_user_id(request.data))
        if outage.seconds_left():
            raise TokenEndpointDown
