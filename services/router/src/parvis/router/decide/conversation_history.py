"""Builds the history of a conversation from its stored decisions: contacts, moves, links. Pure; no I/O."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from parvis.common.contract.contact import ClaimCheck, ContactId, ContactReceived, ConversationId, Reference
from parvis.common.contract.references import make_reference
from parvis.common.contract.routing.conversation_history import History, PastContact, PastTransfer
from parvis.common.contract.routing.decisions import Routing
from parvis.common.contract.routing.split_and_link import ConversationLinked, ConversationOpened, ConversationSplit
from parvis.common.contract.routing.transfer import ConversationArrived
from parvis.router.models.stored_rows import Conversation, DecisionRow

MOST_CONTACTS = 200  # per history: about 150 KB
_NOTHING = "-"


@dataclass(frozen=True, slots=True)
class ContactOrigin:
    """The facts about a contact that its decision row stores beside the routing."""

    channel: str
    sender: str | None
    original: ClaimCheck


@dataclass(frozen=True)
class ConversationHistory:
    """A conversation so far. `left_out` counts the older contacts that are not included."""

    contacts: tuple[PastContact, ...] = ()
    senders: frozenset[tuple[ContactId, str, str]] = frozenset()  # contact, hash, channel
    left_out: int = 0
    moves: tuple[PastTransfer, ...] = ()
    linked: tuple[Reference, ...] = ()

    @property
    def language(self) -> str | None:
        """The language of the newest contact that has one."""
        return next((c.language for c in reversed(self.contacts) if c.language), None)

    def encode(self, conversation: Conversation, contacts: Sequence[PastContact] | None = None) -> bytes:
        """Encode the history as JSON, for the blob store; equal histories give equal bytes. With `contacts`, only of these."""
        included = self.contacts if contacts is None else tuple(contacts)
        history = History(
            conversation_id=ConversationId(str(conversation.id)),
            reference=conversation.reference,
            contacts=included[-MOST_CONTACTS:],
            left_out=(self.left_out if contacts is None else 0) + max(0, len(included) - MOST_CONTACTS),
            moves=self.moves if contacts is None else (),
            linked=self.linked if contacts is None else (),
        )
        return history.model_dump_json(exclude_none=True).encode()


def encode_source(contact: ContactReceived) -> str:
    """Encode a contact's channel, sender hash and original on one line; the blob's path can be derived from the contact id."""
    original = contact.original
    sender = contact.contact_point_hash or _NOTHING
    return f"{contact.channel} {sender} {original.size_bytes} {original.sha256} {original.media_type}"


def decode_source(contact: str, encoded: str | None) -> ContactOrigin | None:
    """Decode the output of `encode_source`; None if it has another form."""
    parts = (encoded or "").split(" ", 4)
    if len(parts) < 5 or not parts[2].isdecimal():
        return None
    channel, sender, size, sha256, media_type = parts
    claim = ClaimCheck(
        blob=f"{contact}/{sha256}", sha256=sha256, size_bytes=int(size), media_type=media_type, scan="pending"
    )
    return ContactOrigin(channel, None if sender == _NOTHING else sender, claim)


def encode_last_source(contacts: Sequence[PastContact]) -> str:
    """Encode the newest contact's channel and conversation, for the row of a step that notifies the citizen."""
    newest = contacts[-1] if contacts else None
    return f"{newest.channel or _NOTHING} {newest.conversation_id}" if newest else ""


def decode_last_source(encoded: str | None) -> tuple[str, ConversationId | None]:
    """Decode the output of `encode_last_source`. The notifier knows which address was used in that conversation."""
    channel, _, conversation = (encoded or "").partition(" ")
    return ("" if channel == _NOTHING else channel), ConversationId(conversation) if conversation else None


def build_history(
    steps: Iterable[DecisionRow], contacts: Iterable[DecisionRow], moved_in: Iterable[DecisionRow], *, left_out: int
) -> ConversationHistory:
    """Build the history from rows: the conversation's own contacts, without those split off, with those a split moved in."""
    moves: list[PastTransfer] = []
    linked: dict[Reference, None] = {}
    split_off_ids: set[ContactId] = set()
    for row in sorted(steps, key=lambda row: row.sequence or 0):
        match row.kind:
            case "transfer":
                moves.append(_move(row))
            case "split":
                split_off_ids.update(ConversationSplit.model_validate_json(row.value).contact_ids)
            case "linked":
                linked[ConversationLinked.model_validate_json(row.value).other_reference] = None
            case "unlinked":
                linked.pop(ConversationLinked.model_validate_json(row.value).other_reference, None)
            case _:
                continue
    rows = [*sorted(moved_in, key=lambda row: row.decided_at), *sorted(contacts, key=lambda row: row.sequence or 0)]
    remaining = [row for row in rows if str(row.id) not in split_off_ids]
    senders = {
        (ContactId(str(row.id)), source.sender, source.channel)
        for row in remaining
        if (source := decode_source(str(row.id), row.source)) and source.sender
    }
    return ConversationHistory(
        tuple(map(_contact, remaining)), frozenset(senders), left_out, tuple(moves), tuple(linked)
    )


def contacts_brought_by_split(steps: Iterable[DecisionRow]) -> list[ContactId]:
    """The contacts that a conversation began with, if a split created it."""
    opened = (ConversationOpened.model_validate_json(row.value) for row in steps if row.kind == "opened")
    return [contact for event in opened for contact in event.contact_ids]


def _move(row: DecisionRow) -> PastTransfer:
    arrived = ConversationArrived.model_validate_json(row.value)
    return PastTransfer(
        sequence=arrived.sequence,
        from_department=arrived.from_department,
        to_department=arrived.to_department,
        reason=arrived.reason,
        at=arrived.at,
    )


def _contact(row: DecisionRow) -> PastContact:
    routing = Routing.model_validate_json(row.value)
    contact = ContactId(str(row.id))
    source = decode_source(contact, row.source)
    return PastContact(
        contact_id=contact,
        reference=make_reference(contact),
        conversation_id=routing.conversation_id,
        sequence=routing.sequence,
        channel=source.channel if source else None,
        department=routing.department,
        procedure=routing.procedure,
        rule=routing.rule,
        reason=routing.reason,
        urgency=routing.urgency,
        tags=routing.tags,
        language=routing.language,
        received_at=routing.received_at,
        original=source.original if source else None,
    )
