"""A real django-oauth-toolkit server: rotation and reuse protection are on.

python -m tests.real_issuers.oauth_toolkit --port 0 --database FILE
"""

from __future__ import annotations

import argparse
from typing import Any

from tests.real_issuers.project import main


def settings_for(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "APPS": ["oauth2_provider"],
        "ROOT_URLCONF": "tests.real_issuers.oauth_toolkit_urls",
        "OAUTH2_PROVIDER": {
            "ROTATE_REFRESH_TOKEN": True,
            "REFRESH_TOKEN_REUSE_PROTECTION": True,
            "ACCESS_TOKEN_EXPIRE_SECONDS": int(arguments.lifetime.total_seconds()),
            "REFRESH_TOKEN_EXPIRE_SECONDS": int(arguments.refresh_lifetime.total_seconds()),
        },
    }


if __name__ == "__main__":
    main("tests.real_issuers.oauth_toolkit", settings_for)
