"""Real issuers as processes of their own: djangorestframework-simplejwt, django-oauth-toolkit.

with running("simplejwt") as issuer:
    issuer.create("alice")
    pair = issuer.obtain("alice")
    issuer.refresh(pair["refresh"])
"""

from tests.real_issuers.running import OAuthToolkit, RealIssuer, SimpleJWT, running

__all__ = ["OAuthToolkit", "RealIssuer", "SimpleJWT", "running"]
