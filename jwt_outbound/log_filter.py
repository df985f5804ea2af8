"""Takes tokens out of what HTTP libraries log. Of all that we support, at DEBUG, hpack alone writes
request headers (HTTP/2 with httpx or httpx2); the others are covered for the day that they begin.
"""

import logging
import re
from typing import Final

LOGGERS: Final = (
    *("hpack.hpack", "hpack.table"),
    *("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy"),
    *("httpx2", "httpcore2.connection", "httpcore2.http11", "httpcore2.http2", "httpcore2.proxy"),
    *("urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "requests"),
    *("gql.client", "gql.transport.httpx", "gql.transport.requests"),
)
"""By their full names: a logger's filter does not see what its children log."""

HIDDEN: Final = "[hidden by jwt_outbound]"

_HEADER: Final = re.compile(r"(authorization).*", re.IGNORECASE | re.DOTALL)
_BEARER: Final = re.compile(r"\b(Bearer) ++[^\s'\",;]{8,}", re.IGNORECASE)
# Possessive, and never begun inside of a word: the texts are a stranger's, and may be long.
_JWT: Final = re.compile(r"(?<![\w-])eyJ[\w-]{4,}+\.[\w-]++\.[\w-]*+")


class TokenFilter(logging.Filter):
    """Lets every record pass, without the tokens in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Changes the record only where there is something to hide."""
        text = record.getMessage()
        hidden = without_tokens(text)
        if hidden != text:
            record.msg, record.args = hidden, None
        return True


def without_tokens(text: str) -> str:
    """`text`, with all that follows the word `authorization`, and all that looks like a token,
    hidden."""
    text = _HEADER.sub(rf"\1 {HIDDEN}", text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    return _JWT.sub(HIDDEN, text)


def install() -> None:
    """On the libraries' loggers, once; levels and handlers are left alone."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(known, TokenFilter) for known in logger.filters):
            logger.addFilter(TokenFilter())
