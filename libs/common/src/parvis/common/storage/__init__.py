"""What outlives a process: blobs, PostgreSQL, and the outbox between PostgreSQL and Kafka."""
