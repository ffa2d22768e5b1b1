"""Simulates Twilio as the town sees it: Messages API, signed webhooks and status callbacks."""
