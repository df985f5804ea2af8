"""Seeds the OAuth2 client; the password grant lets a test get a first pair without a browser."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from oauth2_provider.generators import generate_client_id, generate_client_secret
from oauth2_provider.models import get_application_model


@csrf_exempt
@require_POST
def application(request: HttpRequest) -> HttpResponse:
    if request.META["REMOTE_ADDR"] != "127.0.0.1":
        return HttpResponseForbidden("Only this machine may command the test issuer.")
    credentials = {"client_id": generate_client_id(), "client_secret": generate_client_secret()}
    model = get_application_model()
    model.objects.create(
        name="tests",
        client_type=model.CLIENT_CONFIDENTIAL,
        authorization_grant_type=model.GRANT_PASSWORD,
        **credentials,
    )
    return JsonResponse(credentials)
