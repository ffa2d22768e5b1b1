"""Scanned letters in from a watched folder, contact.received out."""
