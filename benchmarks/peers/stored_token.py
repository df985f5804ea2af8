"""The row that a project makes for a library that brings none."""

from typing import Any

from django.db import connection, models


class StoredToken(models.Model):
    """One user's tokens, as the library wants them."""

    token = models.JSONField()

    class Meta:
        app_label = "peers"

    def __str__(self) -> str:
        return f"token {self.pk}"


def put(token: dict[str, Any]) -> None:
    """Makes the table where it is missing, and the row the only one."""
    if StoredToken._meta.db_table not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            editor.create_model(StoredToken)
    StoredToken.objects.update_or_create(pk=1, defaults={"token": token})


def get() -> dict[str, Any]:
    """The row's tokens."""
    found: dict[str, Any] = StoredToken.objects.get(pk=1).token
    return found


def keep(token: dict[str, Any]) -> None:
    """What the library gives back after a refresh."""
    StoredToken.objects.filter(pk=1).update(token=dict(token))
