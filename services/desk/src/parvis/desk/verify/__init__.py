"""Checks who calls: an agent by a session cookie, a program by a bearer token."""
