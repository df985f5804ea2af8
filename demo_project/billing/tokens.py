"""Logins that can be revoked at once, their access tokens included.

simplejwt alone can only blacklist refresh tokens, and an access token stays good to its end.
Here every token carries a count, and one revocation makes all the older ones worthless.
"""

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import Token

from demo_project.billing.models import RevokedLogins

CLAIM = "revocations"


def times_revoked(user: Any) -> int:
    counts = RevokedLogins.objects.filter(user=user).values_list("times", flat=True)
    return counts.first() or 0


class RevocableTokenSerializer(TokenObtainPairSerializer):
    @classmethod
    def get_token(cls, user: Any) -> Token:
        token = super().get_token(user)
        token[CLAIM] = times_revoked(user)
        return token


class UnrevokedJWTAuthentication(JWTAuthentication):
    def get_user(self, validated_token: Token) -> Any:
        user = super().get_user(validated_token)
        if validated_token.get(CLAIM) != times_revoked(user):
            raise InvalidToken("The login that this token belongs to was revoked.")
        return user


@transaction.atomic
def revoke_logins(user: User) -> int:
    """End every login of the user; returns how many refresh tokens were still good."""
    RevokedLogins.objects.get_or_create(user=user)
    RevokedLogins.objects.filter(user=user).update(times=F("times") + 1)
    alive = OutstandingToken.objects.filter(user=user, blacklistedtoken=None)
    return len(BlacklistedToken.objects.bulk_create([BlacklistedToken(token=t) for t in alive]))
