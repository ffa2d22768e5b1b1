"""Models scans, their pages and what was read from them."""
