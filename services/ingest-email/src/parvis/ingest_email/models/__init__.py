"""Defines the values that the mail parser hands to the service."""
