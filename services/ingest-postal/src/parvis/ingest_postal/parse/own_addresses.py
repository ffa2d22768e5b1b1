"""Collects the town's own names and addresses, which are never taken for a sender's. Pure; no I/O."""

import re
import unicodedata
from dataclasses import dataclass

from parvis.common.town.models import TownConfig


@dataclass(frozen=True)
class OwnAddresses:
    """The town's names and addresses: the addressee of every letter."""

    key: bytes
    names: frozenset[str] = frozenset()  # of the town hall and its departments, folded
    streets: frozenset[str] = frozenset()  # the lines of their addresses between name and town, folded
    departments: frozenset[str] = frozenset()  # the first two digits of their postcodes
    phones: frozenset[str] = frozenset()
    mailboxes: frozenset[str] = frozenset()

    @classmethod
    def from_config(cls, town_config: TownConfig, key: bytes) -> "OwnAddresses":
        town, departments = town_config.town, town_config.departments.values()
        addresses = (town.address, *(department.address for department in departments))
        names = (*town.name.values(), *(name for department in departments for name in department.name.values()))
        return cls(
            key=key,
            names=frozenset(fold(name) for name in (*names, *(address[0] for address in addresses))),
            streets=frozenset(fold(line) for address in addresses for line in address[1:-1]),
            departments=frozenset(address[-1][:2] for address in addresses),
            phones=frozenset((town.phone, town.sms_number, *(department.phone for department in departments))),
            mailboxes=frozenset((town.mailbox, *(department.email for department in departments))),
        )


def fold(text: str) -> str:
    """Fold a text for comparison: without accents, punctuation and case. Both apostrophes end a word."""
    letters = unicodedata.normalize("NFD", text.replace("œ", "oe").replace("Œ", "OE").replace("’", "'").casefold())
    return " ".join(re.findall(r"[a-z0-9]+", letters.encode("ascii", "ignore").decode()))
