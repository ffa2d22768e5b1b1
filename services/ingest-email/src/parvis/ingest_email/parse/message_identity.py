"""Extracts a stable identity (Message-ID and content hash) from raw bytes, before any parser runs. Pure; no I/O."""

import hashlib
import re
from dataclasses import dataclass

from parvis.common.contract.contact import ContactId, make_contact_id

_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:(.*(?:\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)
# What mail servers add on the way: a mail that is sent again over another way is still the same mail.
_TRACE = re.compile(
    rb"^(?:received|return-path|delivered-to|x-original-to|envelope-to|received-spf|authentication-results|"
    rb"arc-[a-z-]+|x-spam[a-z-]*|x-rspamd[a-z-]*|x-envelope-[a-z]+)[ \t]*:.*(?:\n[ \t].*)*\n?",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class MessageIdentity:
    """The sender's own name for the mail, which need not be unique, and the hash of its content."""

    message_id: bytes
    digest: str

    def contact_id(self, recipient: str) -> ContactId:
        """One contact per envelope recipient: the same mail to two mailboxes is two."""
        return make_contact_id("email", recipient, f"{self.message_id.decode('latin-1')}\x1f{self.digest}")


def identify_message(content: bytes) -> MessageIdentity:
    """Scan a mail. Line ends and trace fields do not count; everything else does."""
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    head, gap, body = lines.partition(b"\n\n")
    match = _MESSAGE_ID.search(head)
    digest = hashlib.sha256(_TRACE.sub(b"", head))
    digest.update(gap)
    digest.update(body)
    return MessageIdentity(b"".join(match[1].split()) if match else b"", digest.hexdigest())
