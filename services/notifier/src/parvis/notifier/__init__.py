"""Sends replies to citizens by SMS, email, letter or inbox notice, and keeps the ledger of what became of each."""
