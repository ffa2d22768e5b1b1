"""Extracts a stable identity (Message-ID and content hash) from raw bytes, before any parser runs. Pure; no I/O."""

import hashlib
import itertools
import re
from collections.abc import Generator
from dataclasses import dataclass

from parvis.common.contract.contact import ContactId, make_contact_id

_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:(.*(?:\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)
# What mail servers add on the way: a mail that is sent again over another way is still the same mail.
_TRACE = re.compile(
    rb"^(?:received|return-path|delivered-to|x-original-to|envelope-to|received-spf|authentication-results|"
    rb"arc-[a-z-]+|x-spam[a-z-]*|x-rspamd[a-z-]*|x-envelope-[a-z]+)[ \t]*:.*(?:\n[ \t].*)*\n?",
    re.IGNORECASE | re.MULTILINE,
)
_MAX_HEAD_BYTES = _PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class MessageIdentity:
    """The sender's own name for the mail, which need not be unique, and the hash of its content."""

    message_id: bytes
    digest: str

    def contact_id(self, recipient: str) -> ContactId:
        """One contact per envelope recipient: the same mail to two mailboxes is two."""
        return make_contact_id("email", recipient, f"{self.message_id.decode('latin-1')}\x1f{self.digest}")


def identify_message(content: bytes) -> MessageIdentity:
    """Scan a mail. Line ends and trace fields do not count; everything else does.

    Shape:  trace fields stand at the top: those behind the first 256 KiB count, and an id there is not found.
    Retry:  the same mail on another way has the same identity.
    Thread: short pieces, so that one with 40 MB of line ends or fields leaves others their turn in the interpreter.
    """
    pieces, start = _pieces_with_plain_line_ends(content), b""
    while len(start) < _MAX_HEAD_BYTES and b"\n\n" not in start and (piece := next(pieces, b"")):
        start += piece
    head, gap, body = start.partition(b"\n\n")
    match = _MESSAGE_ID.search(head)
    digest = hashlib.sha256(_TRACE.sub(b"", head))
    for piece in itertools.chain((gap, body), pieces):
        digest.update(piece)
    return MessageIdentity(b"".join(match[1].split()) if match else b"", digest.hexdigest())


def _pieces_with_plain_line_ends(content: bytes) -> Generator[bytes]:
    start = 0
    while start < len(content):
        end = start + _PIECE_BYTES
        end += content[end - 1 : end + 1] == b"\r\n"  # one line end on the border
        yield content[start:end].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        start = end
