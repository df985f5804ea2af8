"""The service that is called: issuer of the tokens, REST and GraphQL API."""
