"""Renders messages as SMS, mail or letter, and the signed links to the notifier's pages. Pure; no I/O."""
