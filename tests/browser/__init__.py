"""The demo and its admin in a real browser: a pytest call of their own, see the Makefile."""
