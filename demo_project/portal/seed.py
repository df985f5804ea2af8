"""The portal's one local account; alice and bob are made when they first log in at billing."""

from django.contrib.auth.models import User

from demo_project.people import PORTAL_ADMIN


def seed() -> None:
    username, password = PORTAL_ADMIN
    defaults = {"is_staff": True, "is_superuser": True}
    admin, made = User.objects.get_or_create(username=username, defaults=defaults)
    if made or not admin.check_password(password):
        admin.set_password(password)
        admin.save(update_fields=["password"])
