"""Finds the sentence in which a citizen asks for an address that nothing proves, for the agent who confirms it. Pure; no I/O."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from parvis.common.contract.channels import channel
from parvis.common.contract.contact import ContactPoint, ContactReceived, ReplyAddress
from parvis.common.contract.find_addressee import OTHER_REPLY_TO, UnconfirmedAddress
from parvis.common.text.reply_channels import find_stated_reply_channels

_LONGEST = 600  # characters: a sentence without an end is cut
_PARAGRAPH_END = re.compile(r"\n\s*\n")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")


@dataclass(frozen=True)
class UnconfirmedReplyAddress:
    """An unconfirmed wish with the citizen's own sentence; without one, `is_reply_to` says that the mail's Reply-To names it."""

    to: ReplyAddress
    sentence: str
    is_reply_to: bool


def explain_wish(wish: UnconfirmedAddress, contact: ContactReceived) -> UnconfirmedReplyAddress:
    """The wish, and where the message states it. Shape: `contact` is that of the wish, with its text."""
    sentence = next((words for words in _sentences(contact.personal.text) if _states(words, wish.to)), "")
    is_reply_to = not sentence and OTHER_REPLY_TO in contact.remarks
    return UnconfirmedReplyAddress(
        wish.to, sentence if len(sentence) <= _LONGEST else f"{sentence[:_LONGEST]}…", is_reply_to
    )


def _sentences(text: str) -> Iterator[str]:
    """The sentences of each paragraph, whose lines a mail program may have broken anywhere, then whole paragraphs."""
    paragraphs = [" ".join(lines.split()) for lines in _PARAGRAPH_END.split(text)]
    for paragraph in paragraphs:
        yield from _SENTENCE_END.split(paragraph)
    yield from paragraphs


def _states(words: str, to: ReplyAddress) -> bool:
    kind = channel(to.channel).contact_point_kind
    writer = (
        ContactPoint(kind=kind, value=to.address) if kind else None
    )  # « par SMS » alone means the writer's own number
    return to in find_stated_reply_channels(words, sender=writer)
