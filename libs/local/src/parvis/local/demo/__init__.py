"""Plays the demo: five citizens write through five channels and are answered; the journeys are read from the topics."""
