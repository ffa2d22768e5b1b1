"""What the desk asks its drawing processes, and what they answer."""

REQUEST, SOURCE = b"Q", b"S"  # media type, page and width in JSON; then the bytes
PAGE_COUNT, JPEG = b"N", b"J"
