"""Who makes and replaces token pairs. One verb: `exchange(refresh_token, deadline) -> Answer`."""

from jwt_outbound.issuers.answers import Answer, Meaning, Profile
from jwt_outbound.issuers.callable import CallableIssuer
from jwt_outbound.issuers.issuer import Issuer
from jwt_outbound.issuers.local import LocalIssuer
from jwt_outbound.issuers.oauth2 import OAuth2Issuer
from jwt_outbound.issuers.simplejwt import SimpleJWTIssuer

__all__ = [
    "Answer",
    "CallableIssuer",
    "Issuer",
    "LocalIssuer",
    "Meaning",
    "OAuth2Issuer",
    "Profile",
    "SimpleJWTIssuer",
]
