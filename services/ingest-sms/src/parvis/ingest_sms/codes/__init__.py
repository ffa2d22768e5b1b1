"""Holds the keywords by which citizens opt out, opt in and ask for help."""
