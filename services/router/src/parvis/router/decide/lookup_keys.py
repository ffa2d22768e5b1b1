"""Collects the database keys of a batch of contacts: tokens, references, thread keys, senders. Pure; no I/O."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from parvis.common.contract.channels import channel
from parvis.common.contract.contact import ContactReceived
from parvis.router.decide.conversation_working_set import ConversationWindows, parse_uuid
from parvis.router.decide.find_conversation import is_by_staff, quoted_reference
from parvis.router.decide.thanks import is_only_thanks
from parvis.router.decide.thread_keys import thread_keys_of


@dataclass
class LookupKeys:
    """The keys that the contacts of a batch name, and for each sender the start of the window."""

    tokens: set[UUID] = field(default_factory=set[UUID])
    references: set[str] = field(default_factory=set[str])
    thread_keys: set[bytes] = field(default_factory=set[bytes])
    senders: set[str] = field(default_factory=set[str])
    since: dict[str, datetime] = field(default_factory=dict[str, datetime])

    @property
    def is_empty(self) -> bool:
        return not (self.tokens or self.references or self.thread_keys or self.since)

    def add(self, contact: ContactReceived, windows: ConversationWindows, secret: bytes) -> None:
        """Add the keys of one contact. Without a sender, only our token counts, and the reference that an agent typed."""
        if token := parse_uuid(contact.thread.conversation_id):
            self.tokens.add(token)
        sender, window = contact.contact_point_hash, windows.window_of(contact.channel)
        quoted = quoted_reference(contact)
        if quoted and (sender or is_by_staff(contact)):
            self.references.add(quoted)
        if sender is None:
            return
        keys = thread_keys_of(contact, secret)
        self.thread_keys.update(keys.answered_ids, (keys.claimed,) if keys.claimed else ())
        if token or quoted or keys.answered_ids:
            self.senders.add(sender)
        if channel(contact.channel).has_thread_headers:
            if window and keys.subject:
                self.thread_keys.add(keys.subject)
            window = timedelta(0)
        if is_only_thanks(contact):
            window = max(window, windows.thanks)
        if window:
            begins = contact.received_at - window
            self.since[sender] = min(begins, self.since.get(sender, begins))


def lookup_keys(contacts: Iterable[ContactReceived], windows: ConversationWindows, secret: bytes) -> LookupKeys:
    """Collect the keys of these contacts."""
    keys = LookupKeys()
    for contact in contacts:
        keys.add(contact, windows, secret)
    return keys
