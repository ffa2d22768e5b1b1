"""Stores submissions in PostgreSQL, their files in the blob store, their events in the outbox."""
