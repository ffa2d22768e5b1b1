"""What the reader asks its worker, and what each answer begins with."""

import struct

from parvis.ingest_postal.tables import MediaType, Shape

NUMBER = struct.Struct(">I")

COUNT, PICTURE, PAGE, DONE, TROUBLE = b"C", b"I", b"P", b"D", b"T"


class Job(Shape):
    """What is to be read, and how much of it; the scan follows."""

    media_type: MediaType
    pages: int
    pixels: int
