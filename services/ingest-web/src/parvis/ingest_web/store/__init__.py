"""What lasts: submissions in PostgreSQL, their bytes in the blob store, their events in the outbox."""
