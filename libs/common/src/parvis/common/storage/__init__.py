"""Stores what outlives a process: blobs, rows in PostgreSQL, and the outbox between PostgreSQL and Kafka."""
