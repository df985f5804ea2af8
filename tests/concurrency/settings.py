"""The workers' settings: the tests' own, on databases that were made for this run."""

import json
import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

ROOT_URLCONF = "tests.concurrency.site"

_stage = json.loads(os.environ["JWT_OUTBOUND_STAGE"])
for _alias, _name in _stage["databases"].items():
    DATABASES[_alias]["NAME"] = _name
globals().update(_stage.get("settings", {}))
