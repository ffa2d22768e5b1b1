"""Shares what the services must agree on about Twilio: message statuses, error codes and one HTTP client."""
