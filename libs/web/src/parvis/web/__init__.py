"""Provides what citizens' and agents' pages share: layout, styles, languages, form tokens and security headers."""
