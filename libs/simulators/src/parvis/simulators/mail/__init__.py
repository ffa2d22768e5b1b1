"""Simulates the citizens' mail provider: the relay that takes the town's mail, the mailboxes, and mails to the town."""
