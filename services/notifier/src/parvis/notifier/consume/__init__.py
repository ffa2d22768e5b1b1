"""Runs the notifier's loops: records from Kafka, due deliveries, reconciliation, print batches."""
