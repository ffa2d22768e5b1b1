"""Verifies that Twilio signed a request."""
