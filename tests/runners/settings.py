"""Settings of the site's processes and of its workers: `RUNNERS_STAGE` says where they are."""

import json
import os

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as USUAL

_stage = json.loads(os.environ["RUNNERS_STAGE"])
_folder = _stage["folder"]

INSTALLED_APPS = [*USUAL, "django_tasks_db", "tests.runners.people"]
AUTH_USER_MODEL = "people.Person"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": f"{_folder}/site.sqlite3",
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    }
}
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
CELERY_BROKER_URL = "filesystem://"
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # What the site sends is what the worker reads.
    "data_folder_in": f"{_folder}/broker",
    "data_folder_out": f"{_folder}/broker",
    "control_folder": f"{_folder}/control",
}
JWT_OUTBOUND = _stage["jwt_outbound"]
