"""Renders answers to Twilio."""
