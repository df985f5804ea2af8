from django.urls import path
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from oauth2_provider.views import RevokeTokenView, TokenView

from tests.real_issuers.application import application
from tests.real_issuers.me import MeView
from tests.real_issuers.people import people

urlpatterns = [
    path("token/", TokenView.as_view()),
    path("revoke/", RevokeTokenView.as_view()),
    path("api/me/", MeView.as_view(authentication_classes=[OAuth2Authentication])),
    path("control/people/<verb>/", people),
    path("control/application/", application),
]
