"""Embeds Apache Kafka: one broker, fetched once and started in a second."""
