"""Runs a whole town hall on one machine: embedded Kafka and PostgreSQL, the services, and their supervision."""
