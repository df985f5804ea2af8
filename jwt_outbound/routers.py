"""The token tables on an alias of their own: `DATABASE_ROUTERS` names `TokenRouter`."""

from typing import Any

from django.db import DEFAULT_DB_ALIAS, router
from django.db.models import Model

from jwt_outbound.conf import get_settings

APP = "jwt_outbound"


class TokenRouter:
    """Sends this app's models to `JWT_OUTBOUND["DATABASE"]` and has no opinion on others.

    One exception: where another model is looked up from one of our instances (`pair.user`), the
    other routers are asked without that hint; Django would look in the tokens' database.
    """

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """The tokens' alias for our models."""
        return self._route("db_for_read", model, hints)

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        """The tokens' alias for our models."""
        return self._route("db_for_write", model, hints)

    def allow_relation(self, one: Model, other: Model, **hints: Any) -> bool | None:
        """A pair may point to a user of another database: no constraint joins them."""
        return True if APP in (one._meta.app_label, other._meta.app_label) else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """Our tables are made on our alias only."""
        return db == get_settings().database if app_label == APP else None

    def _route(self, question: str, model: type[Model], hints: dict[str, Any]) -> str | None:
        if model._meta.app_label == APP:
            return get_settings().database
        instance = hints.get("instance")
        if instance is None or instance._meta.app_label != APP:
            return None
        for other in router.routers:
            answer = getattr(other, question, lambda *_, **__: None)
            chosen = None if other is self else answer(model)
            if chosen:
                return str(chosen)
        return DEFAULT_DB_ALIAS
