from django.urls import path
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.views import (
    TokenBlacklistView,
    TokenObtainPairView,
    TokenRefreshView,
)

from tests.real_issuers.me import MeView
from tests.real_issuers.people import people

urlpatterns = [
    path("token/", TokenObtainPairView.as_view()),
    path("token/refresh/", TokenRefreshView.as_view()),
    path("token/blacklist/", TokenBlacklistView.as_view()),
    path("api/me/", MeView.as_view(authentication_classes=[JWTAuthentication])),
    path("control/people/<verb>/", people),
]
