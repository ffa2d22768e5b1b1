"""Renders a reply as an SMS, in the GSM alphabet where possible. Pure; no I/O."""

from parvis.common.text.sms_encoding import MAX_SMS_CHARACTERS, simplify_typography
from parvis.notifier.models.message import TooLong
from parvis.notifier.render.reply_text import ReplyTextRenderer


def render_sms(reply_text: ReplyTextRenderer, *_: object) -> bytes:
    """Render the text of an SMS.

    Raises: TooLong, over 1600 characters.
    """
    text = simplify_typography(reply_text.render("sms").text)
    if len(text) > MAX_SMS_CHARACTERS:
        raise TooLong(f"{len(text)} characters, an SMS holds {MAX_SMS_CHARACTERS}")
    return text.encode()
