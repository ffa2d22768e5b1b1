"""Reads and writes Kafka with deadlines and without losing records; the only package that imports aiokafka."""
