"""Defines the notifier's data types: deliveries, messages, letters, limits, and the Protocols of its senders."""
