"""Reads from and writes to Kafka, with deadlines and nothing skipped; the only package that imports aiokafka."""
