"""What we fetch from Twilio: the files that came with a message, and the list of messages."""
