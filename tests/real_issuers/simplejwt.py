"""A real djangorestframework-simplejwt server: rotation and blacklist are on.

python -m tests.real_issuers.simplejwt --port 0 --database FILE
"""

from __future__ import annotations

import argparse
from typing import Any

from tests.real_issuers.project import main


def settings_for(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "APPS": ["rest_framework_simplejwt", "rest_framework_simplejwt.token_blacklist"],
        "ROOT_URLCONF": "tests.real_issuers.simplejwt_urls",
        "SIMPLE_JWT": {
            "ROTATE_REFRESH_TOKENS": True,
            "BLACKLIST_AFTER_ROTATION": True,
            "ACCESS_TOKEN_LIFETIME": arguments.lifetime,
            "REFRESH_TOKEN_LIFETIME": arguments.refresh_lifetime,
        },
    }


if __name__ == "__main__":
    main("tests.real_issuers.simplejwt", settings_for)
