"""The code that is printed on our letters, for whoever answers on that paper: its conversation, signed. Pure; no I/O."""

import re
import uuid

from parvis.common.contact import ConversationId
from parvis.common.reply import is_signed, sign

_PURPOSE = "letter"
_CODE = re.compile(r"[^\s#]{0,300}#P(?:-[0-9A-HJKMNP-TV-Z]{4}){3}/([0-9a-f]{32})\.([a-z2-7]{16})")


def letter_code(reference: str, conversation: ConversationId, web_name: str, key: bytes) -> str:
    """The text of the code: a telephone opens the town's page with it, our door finds the conversation in it.

    Gives: about 100 characters. What stands behind # is not sent to any server: no log on the way keeps it.
    """
    name = uuid.UUID(conversation).hex
    return f"https://{web_name}/#{reference}/{name}.{sign(name, _PURPOSE, key)}"


def conversation_of_code(text: str, key: bytes) -> ConversationId | None:
    """The conversation that a code on a page names; none when we did not sign it."""
    found = _CODE.fullmatch(text.strip())
    if not found or not is_signed(found[1], _PURPOSE, found[2], key):
        return None
    return ConversationId(str(uuid.UUID(found[1])))
