"""Holds Twilio's message statuses, its error codes and an HTTP client, shared by the services."""
