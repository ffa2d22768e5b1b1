"""Consumes the departments' topics and the delivery topic from Kafka."""
