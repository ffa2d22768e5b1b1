"""Resolves an envelope address to one of the town's mailboxes or to the reply that bounced. Pure; no I/O."""

from dataclasses import dataclass

from parvis.common.contract.mail_tokens import reply_id_of_bounce_address
from parvis.common.contract.reply import ReplyId
from parvis.common.town.models import TownConfig

_BOUNCE = "bounce"
_POSTMASTER = "postmaster"  # RFC 5321 §4.5.1: every domain has one
_ROLES = frozenset({_POSTMASTER, "abuse"})  # RFC 2142 §4: where complaints go


@dataclass(frozen=True)
class TownRecipient:
    """An address of the town as written, the mailbox behind it, and the reply that a bounce address names."""

    address: str
    mailbox: str
    reply: ReplyId | None = None


def list_town_addresses(town_config: TownConfig) -> frozenset[str]:
    """Every address that mail may be sent to, without its tags."""
    town = town_config.town
    roles = {f"{role}@{town.mail_domain}" for role in (_BOUNCE, *_ROLES)}
    return frozenset({town.mailbox, *(department.email for department in town_config.departments.values())} | roles)


class TownMailboxes:
    """The town's own addresses: the general one, the departments', the bounces'; each with any +tag."""

    def __init__(self, town_config: TownConfig, signing_key: bytes) -> None:
        town = town_config.town
        self._signing_key = signing_key
        self._general = town.mailbox
        self._domain = town.mail_domain
        self._known = frozenset([town.mailbox, *(department.email for department in town_config.departments.values())])

    @property
    def own_addresses(self) -> frozenset[str]:
        return self._known

    def general_mailbox(self) -> TownRecipient:
        """The town's own mailbox."""
        return TownRecipient(self._general, self._general)

    def find_recipient(self, address: str) -> TownRecipient | None:
        """The mailbox behind an envelope address; None when it is not an address of the town."""
        written = address.strip().strip("<>").lower()
        if written == _POSTMASTER:
            return TownRecipient(written, self._general)
        local, at, domain = written.rpartition("@")
        if not at:
            return None
        base, _, _ = local.partition("+")
        if f"{base}@{domain}" in self._known:
            return TownRecipient(written, f"{base}@{domain}")
        if domain == self._domain and base == _BOUNCE:
            return TownRecipient(written, self._general, reply_id_of_bounce_address(written, self._signing_key))
        return TownRecipient(written, self._general) if domain == self._domain and base in _ROLES else None
