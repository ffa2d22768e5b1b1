"""Tells which version of a case an agent has seen, and which of its records came since. Pure; no I/O."""

import re
from dataclasses import astuple, dataclass, replace

from parvis.common.contract.errors import Rejected
from parvis.desk.decide.timeline import TimelineEntry
from parvis.desk.models.case import CaseFile


class CaseChanged(Rejected):
    """The case has changed since the agent saw it: they must see the change before their answer leaves."""


@dataclass(frozen=True)
class CaseVersion:
    """The number of a case's records of each kind. None is ever removed: what a split takes away adds a relation."""

    contacts: int = 0
    moves: int = 0
    relations: int = 0
    replies: int = 0
    transfers: int = 0
    actions: int = 0

    def __str__(self) -> str:
        return ".".join(map(str, astuple(self)))

    @classmethod
    def parse(cls, text: str) -> "CaseVersion | None":
        """The version that a form or an ETag names. None if it names none."""
        numbers = re.fullmatch(r'"?([0-9]{1,9}(?:\.[0-9]{1,9}){5})"?', text)
        return cls(*map(int, numbers[1].split("."))) if numbers else None


def mark_new(entries: list[TimelineEntry], file: CaseFile, seen: CaseVersion) -> list[TimelineEntry]:
    """The entries, with those marked that are not in the version that was seen."""
    records = (
        (file.contacts, seen.contacts),
        (sorted(file.moves, key=lambda move: move.sequence), seen.moves),
        (sorted(file.relations, key=lambda step: step.sequence), seen.relations),
        (sorted(file.replies, key=lambda reply: reply.at), seen.replies),
        (sorted(file.transfers, key=lambda transfer: transfer.at), seen.transfers),
        (sorted(file.actions, key=lambda action: action.at), seen.actions),
    )
    new = {id(record) for of_kind, count in records for record in of_kind[count:]}
    return [replace(entry, is_new=id(entry.item) in new) for entry in entries]
