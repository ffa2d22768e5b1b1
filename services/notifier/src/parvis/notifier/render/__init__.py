"""Writes the bytes of each message: SMS, mail, letter, and the links to the notifier's own pages. Pure; no I/O."""
