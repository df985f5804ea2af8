"""Who can log in. The passwords are printed on the screen: they protect nothing."""

BILLING_USERS = {"alice": "alice-demo", "bob": "bob-demo"}
PORTAL_ADMIN = ("admin", "admin-demo")
