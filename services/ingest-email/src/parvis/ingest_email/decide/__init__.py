"""Decides which of the town's mailboxes an address belongs to."""
