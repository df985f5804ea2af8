"""Two Django services that show jwt_outbound at work: a portal and the billing API it calls."""
