"""What the reader and its worker say to each other: kinds of frames, and the question."""

import struct

from parvis.ingest_postal.tables import MediaType, Shape

NUMBER = struct.Struct(">I")

# The reader asks
JOB, SCAN = b"J", b"S"
# The worker answers
COUNT, PICTURE, PAGE, TROUBLE = b"C", b"I", b"P", b"T"


class Job(Shape):
    """What is to be read, and how much it may take; the scan follows."""

    media_type: MediaType
    pages: int
    batch_pages: int = 0
    pixels: int
    cpu_s: int
