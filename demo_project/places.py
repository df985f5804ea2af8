"""Where the demo keeps its files and where its two services answer.

The environment decides, so that tests and the walk run beside a demo that is already up.
"""

import os
from pathlib import Path

DIRECTORY = "JWT_OUTBOUND_DEMO_DIR"
BILLING_URL = "JWT_OUTBOUND_DEMO_BILLING_URL"
ACCESS_SECONDS = "JWT_OUTBOUND_DEMO_ACCESS_SECONDS"
CONTROLS = "JWT_OUTBOUND_DEMO_CONTROLS"
ANNOUNCED = "billing.url"

TOP = Path(__file__).resolve().parent.parent


def directory() -> Path:
    """The folder of databases and logs, made when it is missing."""
    folder = Path(os.environ.get(DIRECTORY) or TOP / "var")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def billing_url() -> str:
    """Where billing answers, without a last slash.

    Billing takes a free port, so a running demo leaves its address in a file: with it
    ``manage.py outbound_call`` in a second terminal finds the same service.
    """
    if url := os.environ.get(BILLING_URL):
        return url
    announced = directory() / ANNOUNCED
    return announced.read_text().strip() if announced.exists() else "http://127.0.0.1:8001"


def access_seconds() -> int:
    return int(os.environ.get(ACCESS_SECONDS, "15"))
