"""Receives mail over SMTP, LMTP and IMAP; a mail is acknowledged only after Kafka has acknowledged its event."""
