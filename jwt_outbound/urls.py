"""`path("outbound/", include("jwt_outbound.urls"))`: the page where a user connects a service."""

from django.urls import path

from jwt_outbound import views

app_name = "jwt_outbound"

urlpatterns = [path("connect/<str:service>/", views.connect, name="connect")]
