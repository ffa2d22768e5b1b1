"""Analyses text that people typed: language, telephone numbers, requested reply channels, SMS encoding. Pure; no I/O."""
