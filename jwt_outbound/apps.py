"""The app."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _


class JWTOutboundConfig(AppConfig):
    """Registers what must be known from the start: nothing here touches a database."""

    name = "jwt_outbound"
    verbose_name = _("Outbound tokens")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Once all apps are loaded."""
        from jwt_outbound import receivers
        from jwt_outbound.checks import check_settings

        register(check_settings)
        receivers.connect()
