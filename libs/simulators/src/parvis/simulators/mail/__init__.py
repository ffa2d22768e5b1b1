"""Simulates the citizens' mail provider: the relay for the town's mail, the mailboxes, and the client that sends mails to the town."""
