from decimal import Decimal

from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse
from rest_framework import generics, serializers
from rest_framework.serializers import BaseSerializer

from demo_project.billing.models import Invoice


class InvoiceSerializer(serializers.ModelSerializer[Invoice]):
    amount = serializers.DecimalField(max_digits=9, decimal_places=2, min_value=Decimal("0.01"))

    class Meta:
        model = Invoice
        fields = ["number", "customer", "amount", "created_at"]


class InvoiceList(generics.ListCreateAPIView[Invoice]):
    """The caller's own invoices, the newest ten."""

    serializer_class = InvoiceSerializer

    def get_queryset(self) -> QuerySet[Invoice]:
        return Invoice.objects.filter(owner=self.request.user.pk)[:10]

    def perform_create(self, serializer: BaseSerializer[Invoice]) -> None:
        serializer.save(owner=self.request.user)


def home(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"service": "billing"})
