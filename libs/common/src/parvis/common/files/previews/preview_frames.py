"""Names the frames that pass between a service and its preview workers."""

REQUEST, SOURCE = b"Q", b"S"  # media type, page, width and turn in JSON; then the bytes
PAGE_COUNT, JPEG = b"N", b"J"
