"""Recognises a text that only stands in for one elsewhere: behind a link, in a page that is missing, in pictures. Pure; no I/O."""

import re
from collections.abc import Sequence

from parvis.ingest_email.codes.quote_phrases import SEE_HTML
from parvis.ingest_email.models.parsed_mail import ParsedMail
from parvis.ingest_email.parse.mime.compare_alternatives import is_blank, is_short, list_words

# Where providers keep the words of protected mails.
_PROTECTED = re.compile(
    r"https://(?:confidential-mail\.google\.com/|outlook\.office(?:365)?\.com/encryption/|[\w.-]{1,100}\.(?:zixmail|zixport|securemail)\.[a-z]{2,10}/)",
    re.IGNORECASE,
)
# One of the phrases alone may be a citizen's; « format HTML » with no matter beside it is not.
_FEW_WORDS = 25
_PHRASES = tuple(phrase for phrase in SEE_HTML if phrase != "html")


def find_stand_in(text: str, quoted: str, *, is_empty: bool) -> str | None:
    """Why the words of a mail are not in its text; None if they are. `is_empty`: it has no subject and no file."""
    if _PROTECTED.search(text):
        return "the text is not in the mail, but behind a link that may expire"
    if is_blank(text) and not quoted.strip():
        return "the mail has no text" if is_empty else None
    if not is_short(text) or len(list_words(text)) > _FEW_WORDS:
        return None
    lower = text.lower().replace("’", "'")
    is_told = any(phrase in lower for phrase in _PHRASES)
    return "the text only says that the mail must be shown in another way" if is_told else None


def add_troubles(mail: ParsedMail, troubles: Sequence[str | None]) -> ParsedMail:
    """Add what was found in the files to them, and to a mail of few words, whose matter is in its files."""
    attachments = tuple(
        attachment.model_copy(update={"trouble": attachment.trouble or trouble})
        for attachment, trouble in zip(mail.attachments, troubles, strict=False)
    )
    found = next((trouble for trouble in troubles if trouble), None)
    says_little = len(list_words(f"{mail.text} {mail.quoted}")) <= _FEW_WORDS
    return mail.model_copy(
        update={"attachments": attachments, "trouble": mail.trouble or (found if says_little else None)}
    )
