"""What comes in, checked before it is believed: our own pages and tokens, and how much one source may send."""
