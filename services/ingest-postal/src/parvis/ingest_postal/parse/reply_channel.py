"""Finds the reply channels that a letter asks for, leaving out addresses that the OCR is unsure of. Pure; no I/O."""

from collections.abc import Collection
from itertools import accumulate

from parvis.common.contract.contact import ReplyAddress
from parvis.common.text.reply_channels import find_reply_channel_requests, fold_line
from parvis.ingest_postal.models.scan import ScanReading

_MIN_WORD_CONFIDENCE = 0.85  # least confidence of each word of an address: one misread digit is another telephone
_MAX_WORDS = 4000


def find_reply_channels(reading: ScanReading, own: Collection[str] = ()) -> tuple[ReplyAddress, ...]:
    """Find the reply channels that the citizen asks for explicitly, in the order of the letter."""
    words = [word for page in reading.pages for word in page.words][:_MAX_WORDS]
    folded = [fold_line(word.text) for word in words]
    ends = list(accumulate(len(word) + 1 for word in folded))  # words are one space apart
    unsure = [
        (end - 1 - len(text), end - 1)
        for word, text, end in zip(words, folded, ends, strict=True)
        if word.confidence < _MIN_WORD_CONFIDENCE
    ]
    requests = find_reply_channel_requests(" ".join(folded), " ".join(word.text for word in words), own=own)
    sure = (
        request.reply_address
        for request in requests
        if not any(start < request.end and end > request.start for start, end in unsure)
    )
    return tuple(dict.fromkeys(sure))
