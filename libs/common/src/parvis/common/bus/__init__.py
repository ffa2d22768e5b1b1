"""Kafka, and the only place that knows aiokafka: records in and out, with deadlines, and nothing skipped."""
