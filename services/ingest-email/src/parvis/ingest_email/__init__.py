"""Receives mail over SMTP, LMTP and IMAP and publishes it as contacts and delivery reports."""
