"""The app."""

from django.apps import AppConfig


class AllauthLoginsConfig(AppConfig):
    """Connects the receivers to allauth's signals."""

    name = "jwt_outbound.logins.allauth"
    label = "jwt_outbound_allauth"

    def ready(self) -> None:
        """Once all apps are loaded, allauth among them."""
        from jwt_outbound.logins.allauth import receivers

        receivers.connect()
