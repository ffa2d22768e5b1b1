"""Fetches from Twilio: the media of a message, and the list of messages."""
