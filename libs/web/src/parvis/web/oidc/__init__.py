"""Logs people in at an OpenID Connect provider."""
