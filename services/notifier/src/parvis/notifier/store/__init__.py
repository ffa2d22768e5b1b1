"""The notifier's SQL: replies, the ledger of deliveries, preferences, budgets."""
