"""For ASGI servers, some of which end a worker without Python's own end of a process.

uvicorn finishes its requests and then dies of the signal that told it to stop. A refresh that
nobody waits for would die with it, and its answer be lost. ::

    # asgi.py
    application = finish_flights(get_asgi_application())
"""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async

Application = Callable[[Any, Any, Any], Awaitable[None]]


def finish_flights(application: Application) -> Application:
    """`application`, of whose `lifespan` the end waits for the flights under way, at most
    `GRACEFUL_STOP` seconds. Django's own knows no lifespan."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        # Not earlier: asgi.py imports this module before Django has loaded the apps.
        from jwt_outbound.refresh import flights

        await sync_to_async(flights.flights.close, thread_sensitive=False)()
        await send({"type": "lifespan.shutdown.complete"})

    return wrapped
