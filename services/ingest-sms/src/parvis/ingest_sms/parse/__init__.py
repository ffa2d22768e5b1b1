"""Parses Twilio's forms and resources. Pure; no I/O."""
