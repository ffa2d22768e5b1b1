"""Defines the notifier's own values: deliveries, rendered messages, letters, limits, and the Protocols of its senders."""
