"""Decides who is answered in a conversation: whoever opened it, at another address only with proof. Pure; no I/O."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from parvis.common.contract.channels import channel, channel_for_contact_point
from parvis.common.contract.contact import ContactId, ContactPoint, ContactReceived, ReplyAddress

OTHER_REPLY_TO = (
    "other-reply-to"  # remark: the mail's Reply-To is not its From, so that From may be a website's own address
)
KNOWN_CASE = "known-case"  # remark: the agent who wrote the contact down named its case, and may read it
MOST_ADDRESSES = 8  # in one reply: citizens can lengthen a conversation without end


@dataclass(frozen=True)
class UnconfirmedAddress:
    """An address that a later message asks for without proof. Nothing is sent there until an agent confirms it."""

    contact_id: ContactId
    to: ReplyAddress


@dataclass(frozen=True)
class Addressee:
    """Where replies go: `stated` first, then `contact_points`. `channel`: by which the conversation was opened."""

    contact_points: tuple[ContactPoint, ...] = ()
    stated: tuple[ReplyAddress, ...] = ()
    channel: str = ""
    unconfirmed: tuple[UnconfirmedAddress, ...] = ()


@dataclass(frozen=True)
class ReplyAddressCandidate:
    """One address for a reply. `is_named`: the citizen asked for it or wrote from it; otherwise we merely know it."""

    to: ReplyAddress
    is_named: bool


def find_addressee(contacts: Sequence[ContactReceived], confirmed: Collection[str] = ()) -> Addressee:
    """The addressee of a conversation's replies.

    Shape:  contacts, in the order of the conversation; confirmed, the ids of those whose wishes an agent confirmed.
    Order:  the wishes of confirmed and proven messages, latest first; those of the first message.
    Proof:  an agent who knows the case wrote the contact down; or it comes from the addressee's own address, under our token or with a DMARC pass.
            Anything else that names a new address is an unconfirmed wish, whoever seems to have written it.
            Who writes a visit down for another department's case, or without naming one, saw a person and not whose case it is.
    Opener: a mail whose Reply-To is not its From is answered nowhere until a DMARC pass of From, or an agent, vouches for the
            Reply-To: From may be somebody else's name, or a website's own address. Any mail without such a pass may be forged:
            once an agent has written down a visit or a call in its conversation, whoever came need not be whoever wrote, and
            its wish for another address is unconfirmed.
    """
    answerable = [contact for contact in contacts if own_contact_points(contact) or contact.personal.reply_channels]
    if not answerable:
        return Addressee(channel=contacts[0].channel) if contacts else Addressee()
    opening, *later = answerable  # a letter without an address opens a case that somebody may write to later
    wishes: list[UnconfirmedAddress] = []
    stated, points = list(opening.personal.reply_channels), list(own_contact_points(opening))
    if not _is_vouched_for(opening, confirmed, is_joined=any(contact.sender.level == "staff" for contact in later)):
        wishes, stated = [UnconfirmedAddress(opening.contact_id, to) for to in stated], []
    own = {point.value for point in points} | {address.address for address in stated}
    for contact in later:
        is_by_agent = contact.sender.level == "staff" and KNOWN_CASE in contact.remarks
        is_confirmed = contact.contact_id in confirmed or is_by_agent
        proven = [to for to in contact.personal.reply_channels if is_confirmed or _is_proven(contact, to, own)]
        stated[:0] = proven
        wishes += [
            UnconfirmedAddress(contact.contact_id, to) for to in contact.personal.reply_channels if to not in proven
        ]
        if is_by_agent:
            points += own_contact_points(contact)
    known = own | {address.address for address in stated}
    unconfirmed = {wish.to: wish for wish in wishes if wish.to.address not in known}
    return Addressee(
        contact_points=tuple(dict.fromkeys(points))[:MOST_ADDRESSES],
        stated=tuple(dict.fromkeys(stated))[:MOST_ADDRESSES],
        channel=opening.channel,
        unconfirmed=tuple(unconfirmed.values())[-MOST_ADDRESSES:],
    )


def own_contact_points(contact: ContactReceived) -> tuple[ContactPoint, ...]:
    """The sender's address; nothing if the mail's Reply-To names another, because From then may be a website's own address."""
    point = contact.personal.from_
    return (point,) if point and OTHER_REPLY_TO not in contact.remarks else ()


def _is_vouched_for(opening: ContactReceived, confirmed: Collection[str], *, is_joined: bool) -> bool:
    if opening.sender.level in ("domain", "staff") or opening.contact_id in confirmed:
        return True
    may_be_forged = is_joined and channel(opening.channel).contact_point_kind == "email"
    return not may_be_forged and OTHER_REPLY_TO not in opening.remarks


def _is_proven(contact: ContactReceived, to: ReplyAddress, own: Collection[str]) -> bool:
    point = contact.personal.from_
    if point is None or point.value not in own or contact.sender.dmarc == "fail":
        return False
    return to.address in own or contact.sender.level == "domain" or contact.thread.conversation_id is not None


def reply_candidates(
    addressee: Addressee, preferred: Callable[[ContactPoint], Sequence[ReplyAddress]] = lambda _: ()
) -> Iterator[ReplyAddressCandidate]:
    """Every address for a reply, best first: as stated, as preferred, as the citizen wrote, as we know otherwise.

    Shape:  preferred, the channels of a contact point's stored preference, which the citizen proved to be theirs.
    """
    for address in addressee.stated:
        yield ReplyAddressCandidate(address, is_named=True)
    for point in addressee.contact_points:
        for address in preferred(point):
            yield ReplyAddressCandidate(address, is_named=True)
    usual = channel(addressee.channel).reply_channel
    for point in addressee.contact_points:
        if usual and channel(usual).contact_point_kind == point.kind:
            yield ReplyAddressCandidate(ReplyAddress(channel=usual, address=point.value), is_named=True)
    for point in addressee.contact_points:
        if sending := channel_for_contact_point(point.kind):
            yield ReplyAddressCandidate(ReplyAddress(channel=sending.name, address=point.value), is_named=usual is None)
