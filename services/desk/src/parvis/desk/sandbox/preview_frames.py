"""What the desk asks its drawing processes, and what they answer."""

QUESTION, SCAN = b"Q", b"S"  # media type, page and width in JSON; then the bytes
COUNT, JPEG = b"N", b"J"
