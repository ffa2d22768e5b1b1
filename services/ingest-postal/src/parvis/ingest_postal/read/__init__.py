"""A scan in, its words and pictures out; the parsers of hostile bytes run in a process of their own."""
