from django.conf import settings
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt
from rest_framework_simplejwt.views import TokenBlacklistView

from demo_project.billing import control
from demo_project.billing.endpoints import CountedRefreshView, InterruptibleObtainView
from demo_project.billing.graph import BearerGraphQLView, schema
from demo_project.billing.views import InvoiceList, home

urlpatterns: list[URLPattern] = [
    path("", home),
    path("api/invoices/", InvoiceList.as_view()),
    path("api/token/", InterruptibleObtainView.as_view()),
    path("api/token/refresh/", CountedRefreshView.as_view()),
    path("api/token/blacklist/", TokenBlacklistView.as_view()),
    path("graphql/", csrf_exempt(BearerGraphQLView.as_view(schema=schema, graphql_ide=None))),
]
if settings.DEMO_CONTROLS:
    urlpatterns += [
        path("control/outage/", control.begin_outage),
        path("control/<str:username>/", control.user_state),
        path("control/<str:username>/revoke/", control.revoke),
    ]
