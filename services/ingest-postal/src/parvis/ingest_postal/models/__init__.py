"""Models scans, their pages and the text read from them."""
