"""Routes records from Kafka and releases the contacts that had to wait."""
