"""Receives messages: webhooks, the fallback's spool, and the reconciler."""
