"""Defines the messages between the service and its sandboxed children; one byte gives the kind of each frame."""

import struct

from parvis.ingest_postal.models.page import StrictModel
from parvis.ingest_postal.models.scan import MediaType

NUMBER = struct.Struct(">I")

# To the scan reader's child: a job, then the scan
JOB, SCAN = b"J", b"S"
# From it: the number of pages, the picture of a page, the text of a page, why reading ended early
COUNT, PICTURE, PAGE, TROUBLE = b"C", b"I", b"P", b"T"

# To the batch splitter's child: the file, then the pages of each letter as JSON
BATCH, LETTER_PAGES = b"B", b"N"
# From it: the file of each letter
LETTER = b"L"


class Job(StrictModel):
    """How to read a scan, with its resource limits."""

    media_type: MediaType
    pages: int
    batch_pages: int = 0
    pixels: int
    cpu_s: int
