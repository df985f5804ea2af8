"""The demo's users and their first invoices; running it twice changes nothing."""

from decimal import Decimal

from django.contrib.auth.models import User

from demo_project.billing.models import Invoice
from demo_project.people import BILLING_USERS

FIRST_INVOICES = [("Harbour Café", "184.50"), ("Nordwind AG", "1290.00"), ("Mill Books", "75.20")]


def seed() -> None:
    for username, password in BILLING_USERS.items():
        user, made = User.objects.get_or_create(username=username)
        if made or not user.check_password(password):
            user.set_password(password)
            user.save(update_fields=["password"])
        if not user.invoices.exists():
            for customer, amount in FIRST_INVOICES:
                Invoice.objects.create(owner=user, customer=customer, amount=Decimal(amount))
