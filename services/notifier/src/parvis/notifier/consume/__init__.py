"""What knocks at the notifier: records from Kafka, and time. Rows in; provider calls and delivery.updated out."""
