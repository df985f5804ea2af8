"""The runner for Django's own tasks: `django.tasks`, or on Django 5.2 the django-tasks backport.

They go to the queue "default" of the backend "default". For others write a runner of your own::

    def enqueue(service, user_id):
        refresh.using(queue_name="tokens").enqueue(service, str(user_id))
"""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from jwt_outbound.runners import work

try:
    from django.tasks import task
except ImportError:
    try:
        from django_tasks import task  # type: ignore[no-redef]
    except ImportError as error:
        raise ImproperlyConfigured(
            "jwt_outbound.runners.tasks needs Django 6.0, or the backport of its tasks: "
            "pip install 'jwt-outbound[tasks]'."
        ) from error


@task
def refresh(service: str, user_id: str) -> None:
    """Refreshes one pair, if it is still due."""
    work.refresh(service, user_id)


def enqueue(service: str, user_id: Any) -> None:
    """Leaves the refresh of this pair to a worker."""
    refresh.enqueue(service, str(user_id))
