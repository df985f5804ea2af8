"""An app for INSTALLED_APPS: keeps the pairs that django-allauth logs in with."""
