"""The code of docs/howto/login-libraries.md, by chapter and file."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "login-libraries.md"
INTRODUCTION = "A pair from your login library"


def code(chapter: str, file: str, provider: str) -> str:
    """What the page writes into `file`, for a provider that is also the API."""
    source = "\n".join(
        block
        for block in re.findall(r"```python\n(.*?)```", _chapters()[chapter], re.DOTALL)
        if block.startswith(f"# {file}\n")
    )
    return source.replace("https://login.example", provider).replace(
        "https://billing.example", provider
    )


def _chapters() -> dict[str, str]:
    """By heading; a line of one `#` within is a comment of the code."""
    parts = PAGE.read_text().removeprefix("# ").split("\n## ")
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}
