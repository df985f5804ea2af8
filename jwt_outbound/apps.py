"""The app."""

from importlib.util import find_spec

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.utils.translation import gettext_lazy as _


class JWTOutboundConfig(AppConfig):
    """Registers what must be known from the start: nothing here touches a database."""

    name = "jwt_outbound"
    verbose_name = _("Outbound tokens")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Once all apps are loaded."""
        from jwt_outbound import log_filter, receivers
        from jwt_outbound.checks import check_settings
        from jwt_outbound.checks.deployment import check_deployment

        register(check_settings)
        register(check_deployment, Tags.security, deploy=True)
        receivers.connect()
        if find_spec("opentelemetry") is not None:
            from jwt_outbound import telemetry

            telemetry.connect()
        log_filter.install()
