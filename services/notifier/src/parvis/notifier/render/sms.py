"""The words of a reply in, the text of an SMS out, as cheap to send as its language allows. Pure."""

from parvis.common.text.sms_encoding import MAX_SMS_CHARACTERS, simplify_typography
from parvis.notifier.render.words import Words
from parvis.notifier.rules import TooLong


def render_sms(words: Words, *_: object) -> bytes:
    """The text of an SMS.

    Raises: TooLong, over 1600 characters.
    """
    text = simplify_typography(words.say("sms").text)
    if len(text) > MAX_SMS_CHARACTERS:
        raise TooLong(f"{len(text)} characters, an SMS takes {MAX_SMS_CHARACTERS}")
    return text.encode()
