"""Mails in over SMTP and LMTP, contact.received and delivery.reported out; 250 only after Kafka has said yes."""
