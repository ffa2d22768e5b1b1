"""Simulates the outside world over its real protocols: Twilio, the citizens' mail provider, the print shop."""
