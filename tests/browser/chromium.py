"""Which chromium there is. Run as a module it prints it; status 1 if there is none."""

import shutil
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def find() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


if __name__ == "__main__":
    found = find()
    print(found or f"No browser is tested: none of {', '.join(NAMES)} is installed.")
    sys.exit(0 if found else 1)
