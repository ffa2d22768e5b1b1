"""Runs the notifier's SQL: replies, deliveries, preferences, send counts, letters, one-time codes."""
