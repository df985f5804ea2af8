from __future__ import annotations

from django.conf import settings
from django.db import models


class Invoice(models.Model):
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="invoices"
    )
    customer = models.CharField(max_length=80)
    amount = models.DecimalField(max_digits=9, decimal_places=2)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.number} {self.customer}"

    @property
    def number(self) -> str:
        return f"INV-{self.pk:04}"


class RevokedLogins(models.Model):
    """How often all logins of a user were revoked; each token carries the count it was made at."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="revoked_logins"
    )
    times = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "revoked logins"

    def __str__(self) -> str:
        return f"logins revoked {self.times} times"
