"""The citizens' mail provider: the relay that takes the town's mail, the mailboxes, and the citizens' own mails to the town."""
