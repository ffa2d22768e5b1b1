"""Encodes and decodes the signed QR code on our letters, which names the conversation and the reply. Pure; no I/O."""

import base64
import re
import uuid
from dataclasses import dataclass

from parvis.common.contract.contact import ConversationId
from parvis.common.contract.mail_tokens import is_valid_token, sign_token
from parvis.common.contract.reply import ReplyId

_PURPOSE = "letter"
_CODE = re.compile(r"[^\s#]{0,300}#P(?:-[0-9A-HJKMNP-TV-Z]{4}){3}/([A-Za-z0-9_-]{43})\.([a-z2-7]{16})")


@dataclass(frozen=True)
class LetterQrContent:
    """A letter of ours whose QR code was read on a scan: answered on the same paper, or returned."""

    conversation_id: ConversationId
    reply_id: ReplyId


def encode_letter_qr(reference: str, conversation: ConversationId, reply: ReplyId, web_name: str, key: bytes) -> str:
    """The text of the code: a link that opens the town's site on a telephone, and that ingest-postal can decode.

    Gives:  about 110 characters. A browser does not send the part after #, so that it is in no server's log.
    """
    both = uuid.UUID(conversation).bytes + uuid.UUID(reply).bytes
    name = base64.urlsafe_b64encode(both).decode().rstrip("=")
    return f"https://{web_name}/#{reference}/{name}.{sign_token(name, _PURPOSE, key)}"


def decode_letter_qr(text: str, key: bytes) -> LetterQrContent | None:
    """The letter that a code names; None if we did not sign the code."""
    match = _CODE.fullmatch(text.strip())
    if not match or not is_valid_token(match[1], _PURPOSE, match[2], key):
        return None
    both = base64.urlsafe_b64decode(f"{match[1]}=")
    conversation, reply = (str(uuid.UUID(bytes=part)) for part in (both[:16], both[16:]))
    return LetterQrContent(ConversationId(conversation), ReplyId(reply))


def conversation_id_of_letter_qr(text: str, key: bytes) -> ConversationId | None:
    """The conversation that a code names; None if we did not sign the code."""
    letter = decode_letter_qr(text, key)
    return letter.conversation_id if letter else None
