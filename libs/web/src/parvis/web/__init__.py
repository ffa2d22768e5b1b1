"""What the citizen's and the agents' pages share: layout, styles, languages, form tokens, security headers."""
