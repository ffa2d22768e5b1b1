"""A mail in, what it says out; the parsers of hostile bytes run in a process of their own."""
