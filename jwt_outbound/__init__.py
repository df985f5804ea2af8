"""Call other services on behalf of your users, each with the user's own JWT pair."""

__version__ = "0.1.0"
