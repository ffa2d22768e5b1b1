"""The code that is printed on our letters, for whoever answers on that paper, or whom it did not reach: signed. Pure; no I/O."""

import base64
import re
import uuid
from dataclasses import dataclass

from parvis.common.contract.contact import ConversationId
from parvis.common.contract.reply import ReplyId
from parvis.common.contract.reply_tokens import is_valid_token, sign_token

_PURPOSE = "letter"
_CODE = re.compile(r"[^\s#]{0,300}#P(?:-[0-9A-HJKMNP-TV-Z]{4}){3}/([A-Za-z0-9_-]{43})\.([a-z2-7]{16})")


@dataclass(frozen=True)
class PrintedLetter:
    """A letter of ours that came back, whichever way."""

    conversation_id: ConversationId
    reply_id: ReplyId


def encode_letter_qr(reference: str, conversation: ConversationId, reply: ReplyId, web_name: str, key: bytes) -> str:
    """The text of the code: a telephone opens the town's page with it, our door finds conversation and reply in it.

    Gives: about 110 characters. What stands behind # is not sent to any server: no log on the way keeps it.
    """
    both = uuid.UUID(conversation).bytes + uuid.UUID(reply).bytes
    name = base64.urlsafe_b64encode(both).decode().rstrip("=")
    return f"https://{web_name}/#{reference}/{name}.{sign_token(name, _PURPOSE, key)}"


def decode_letter_qr(text: str, key: bytes) -> PrintedLetter | None:
    """The letter that a code on a page names; none when we did not sign it."""
    match = _CODE.fullmatch(text.strip())
    if not match or not is_valid_token(match[1], _PURPOSE, match[2], key):
        return None
    both = base64.urlsafe_b64decode(f"{match[1]}=")
    conversation, reply = (str(uuid.UUID(bytes=part)) for part in (both[:16], both[16:]))
    return PrintedLetter(ConversationId(conversation), ReplyId(reply))


def conversation_id_of_letter_qr(text: str, key: bytes) -> ConversationId | None:
    """The conversation that a code on a page names; none when we did not sign it."""
    letter = decode_letter_qr(text, key)
    return letter.conversation_id if letter else None
