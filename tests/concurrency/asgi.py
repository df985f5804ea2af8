"""`site` for ASGI servers."""

from django.core.asgi import get_asgi_application

from jwt_outbound.asgi import finish_flights

application = finish_flights(get_asgi_application())
