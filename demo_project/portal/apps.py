from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "demo_project.portal"
    label = "portal"
