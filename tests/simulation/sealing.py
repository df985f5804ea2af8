"""Sealed columns of the simulation: the token with a tag, so that it can be read back."""

from jwt_outbound.secret import Secret


def opened(sealed: bytes) -> str:
    """The token in a sealed column."""
    return sealed.decode().partition("~")[0]


def secret(sealed: bytes) -> Secret:
    return Secret(opened(sealed))
