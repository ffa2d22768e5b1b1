"""Runs the notifier's SQL: replies, the ledger of deliveries, preferences, budgets, letters, codes."""
