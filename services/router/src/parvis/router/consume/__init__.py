"""Records from Kafka in; rows, then records for departments and the notifier out."""
