"""Renders the mail room's separator sheets. Pure; no I/O."""
