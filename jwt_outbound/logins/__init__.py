"""How a pair arrives from the login libraries of others.

None of them is needed by this app: each module here is imported by the settings that name it. Which
service a provider's tokens are for stands where the library's own settings of that provider stand,
as `outbound_service`; of a provider without it nothing is stored.
"""
