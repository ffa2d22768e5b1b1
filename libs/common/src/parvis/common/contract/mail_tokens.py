"""Signs and verifies the tokens in our Message-IDs and bounce addresses (VERP). Pure; no I/O."""

import base64
import hashlib
import hmac

from parvis.common.contract.contact import ConversationId
from parvis.common.contract.reply import ReplyId

_TOKEN_BYTES = 10  # 80 bits: out of reach for guessing over mail, short enough for a plus-address


def sign_token(subject: str, purpose: str, key: bytes) -> str:
    """A short token that proves that we issued `subject` for `purpose`: lower-case, safe in the local part of a mail address."""
    digest = hmac.new(key, f"{purpose}\x1f{subject}".encode(), hashlib.sha256).digest()[:_TOKEN_BYTES]
    return base64.b32encode(digest).decode().lower()


def is_valid_token(subject: str, purpose: str, token: str, key: bytes) -> bool:
    """Whether we signed `token`; compared in constant time and in any case, because mail servers change the case."""
    return hmac.compare_digest(sign_token(subject, purpose, key).encode(), token.lower().encode("utf-8", "replace"))


def make_message_id(reply: ReplyId, conversation: ConversationId, domain: str, key: bytes) -> str:
    """The Message-ID of a reply by mail: deterministic, and a signed token that names the conversation."""
    local = f"{reply}.{conversation}"
    return f"<{local}.{sign_token(local, 'thread', key)}@{domain}>"


def conversation_id_of_message_id(message_id_text: str, domain: str, key: bytes) -> ConversationId | None:
    """The conversation that one of our own Message-IDs names; None if we did not sign it."""
    local, _, at = message_id_text.strip().strip("<>").rpartition("@")
    subject, _, token = local.rpartition(".")
    if at.lower() != domain.lower() or not subject or not is_valid_token(subject, "thread", token, key):
        return None
    return ConversationId(subject.rpartition(".")[2])


def make_bounce_address(reply: ReplyId, domain: str, key: bytes) -> str:
    """The envelope sender of a reply (VERP), so that a bounce names its reply without being parsed."""
    return f"bounce+{reply}.{sign_token(reply, 'bounce', key)}@{domain}"


def reply_id_of_bounce_address(address: str, key: bytes) -> ReplyId | None:
    """The reply that a bounce address names; None if we did not sign it."""
    local, _, _ = address.strip("<>").rpartition("@")
    prefix, _, token = local.partition("+")
    subject, _, token = token.rpartition(".")
    if prefix.lower() != "bounce" or not subject or not is_valid_token(subject.lower(), "bounce", token, key):
        return None
    return ReplyId(subject.lower())
