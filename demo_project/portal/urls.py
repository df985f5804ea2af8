from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from demo_project.portal import views

urlpatterns = [
    path("", views.home, name="home"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("status/", views.status, name="status"),
    path("call/", views.call, name="call"),
    path("invoices/", views.add_invoice, name="add-invoice"),
    path("graphql/", views.graphql, name="graphql"),
    path("at-once/", views.at_once, name="at-once"),
    path("failing/", views.failing, name="failing"),
    path("outage/", views.outage, name="outage"),
    path("revoke/", views.revoke, name="revoke"),
    path("outbound/", include("jwt_outbound.urls")),
    path("admin/", admin.site.urls),
]
