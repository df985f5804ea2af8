"""The runner for Celery. Workers find the task by `app.autodiscover_tasks()`."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from jwt_outbound.runners import work

try:
    from celery import shared_task  # type: ignore[import-untyped]
except ImportError as error:
    raise ImproperlyConfigured(
        "jwt_outbound.runners.celery needs Celery: pip install 'jwt-outbound[celery]'."
    ) from error


@shared_task(name="jwt_outbound.refresh_ahead", ignore_result=True, max_retries=0)  # type: ignore[untyped-decorator]
def refresh(service: str, user_id: str) -> None:
    """Refreshes one pair, if it is still due. The protocol has its own rules for trying again."""
    work.refresh(service, user_id)


def enqueue(service: str, user_id: Any) -> None:
    """Leaves the refresh of this pair to a worker. A broker that is away is not waited for."""
    refresh.apply_async((service, str(user_id)), retry=False)
