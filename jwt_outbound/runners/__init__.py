"""Ready-made `REFRESH_AHEAD_RUNNER`s, by which workers of a task queue refresh ahead.

`jwt_outbound.runners.tasks.enqueue` for Django's own tasks, `jwt_outbound.runners.celery.enqueue`
for Celery. Neither library is needed until its runner is named.
"""
