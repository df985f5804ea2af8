"""The GraphQL API: the same invoices by the other door, behind the same tokens."""

from decimal import Decimal
from typing import Any, cast

import strawberry
from django.contrib.auth.models import User
from django.db.models import Sum
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from strawberry.django.views import GraphQLView
from strawberry.types import Info

from demo_project.billing.models import Invoice
from demo_project.billing.tokens import UnrevokedJWTAuthentication


@strawberry.type(name="Invoice")
class InvoiceNode:
    number: str
    customer: str
    amount: Decimal


def caller(info: Info[Any, None]) -> User:
    user: User = info.context.request.user
    return user


@strawberry.type
class Query:
    @strawberry.field
    def username(self, info: Info[Any, None]) -> str:
        return caller(info).username

    @strawberry.field
    def total(self, info: Info[Any, None]) -> Decimal:
        sums = Invoice.objects.filter(owner=caller(info)).aggregate(total=Sum("amount"))
        return (sums["total"] or Decimal(0)).quantize(Decimal("0.01"))

    @strawberry.field
    def invoices(self, info: Info[Any, None], first: int = 3) -> list[InvoiceNode]:
        found = Invoice.objects.filter(owner=caller(info))[: max(0, min(first, 50))]
        return [InvoiceNode(number=i.number, customer=i.customer, amount=i.amount) for i in found]


class BearerGraphQLView(GraphQLView):
    """A GraphQL endpoint that answers 401 like the REST API does."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        refusal = self._authenticate(request)
        return refusal or super().dispatch(request, *args, **kwargs)

    def _authenticate(self, request: HttpRequest) -> JsonResponse | None:
        door = UnrevokedJWTAuthentication()
        try:
            found = door.authenticate(Request(request))
            detail: Any = {"detail": "Authentication credentials were not provided."}
        except APIException as refused:
            found, detail = None, refused.detail
        if found is not None:
            request.user = cast(User, found[0])
            return None
        challenge = {"WWW-Authenticate": door.authenticate_header(Request(request))}
        return JsonResponse(detail, status=401, headers=challenge)


schema = strawberry.Schema(query=Query)
