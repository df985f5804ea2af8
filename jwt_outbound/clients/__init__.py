"""What a Django engineer calls with. `httpx` and `gql` are imported by nobody but their users."""

from jwt_outbound.clients.requests import ServiceClient, TokenPairAuth

__all__ = ["ServiceClient", "TokenPairAuth"]
