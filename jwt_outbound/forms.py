"""The form of the connect page."""

from django import forms
from django.utils.translation import gettext_lazy as _


class ConnectForm(forms.Form):
    """Name and password at the issuer. They are passed on once and never shown again."""

    username = forms.CharField(
        label=_("User name"),
        max_length=254,
        widget=forms.TextInput(
            attrs={
                "autocomplete": "username",
                "autocapitalize": "none",
                "spellcheck": "false",
                "autofocus": True,
            }
        ),
    )
    # A password may begin or end with a space.
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
