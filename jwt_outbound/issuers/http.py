"""The base of the issuers that speak HTTP: builds a request, reads an answer."""

from typing import Any

import urllib3
from django.core.checks import CheckMessage, Error
from django.views.decorators.debug import sensitive_variables

from jwt_outbound.issuers import transport
from jwt_outbound.issuers.answers import Answer, Profile, read_answer
from jwt_outbound.issuers.issuer import Issuer
from jwt_outbound.origins import fault_of_url


class HTTPIssuer(Issuer):
    """Posts to one of the issuer's own URLs; tokens go to no other place."""

    @sensitive_variables()
    def _post(
        self, url: str, *, seconds: float, profile: Profile | None = None, **body: Any
    ) -> Answer:
        """The answer's meaning; what the network raises has one too. Never raises."""
        try:
            status, headers, content = transport.post(url, seconds=seconds, **body)
        except transport.Unusable as error:
            return Answer.misconfigured(error.code)
        except transport.NotSent:
            return Answer.unavailable(ambiguous=False, code="not_connected")
        except transport.Oversized:
            return Answer.unavailable(ambiguous=True, code="oversized")
        except (urllib3.exceptions.TimeoutError, TimeoutError):
            return Answer.unavailable(ambiguous=True, code="timeout")
        except (urllib3.exceptions.HTTPError, OSError):
            return Answer.unavailable(ambiguous=True, code="connection_lost")
        return read_answer(status, headers, content, profile or self.profile)


def check_urls(service: str, **urls: str | None) -> list[CheckMessage]:
    """An error for each URL among an issuer's options that can't be one."""
    return [
        Error(
            f"The OPTION {name!r} of service {service!r} {fault}.",
            hint="Give the full URL, with https:// (http:// is for loopback and ALLOW_HTTP).",
            id="jwt_outbound.E021",
        )
        for name, url in urls.items()
        if url is not None and (fault := fault_of_url(url))
    ]
