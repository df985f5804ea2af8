"""Where Celery's autodiscovery looks: a worker that has Celery knows the runner's task."""

from contextlib import suppress

from django.core.exceptions import ImproperlyConfigured

with suppress(ImproperlyConfigured):
    from jwt_outbound.runners import celery as celery
