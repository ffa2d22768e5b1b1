"""Decodes SQL rows into the desk's models, and counts damaged rows so that one of them never hides the others."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar, get_args

from parvis.common.contract.contact import ClaimCheck
from parvis.common.contract.delivery import DeliveryState, FailureClass
from parvis.common.contract.errors import Poison
from parvis.common.contract.reply import ReplyKind
from parvis.common.contract.routing.decisions import ContactRouted
from parvis.common.contract.routing.split_and_link import LinkRefused, SplitRefused
from parvis.common.contract.routing.transfer import DivertedTransfer, TransferRefused
from parvis.common.runtime.logs import logger
from parvis.desk.models.case import (
    ACTION_KINDS,
    RELATION_KINDS,
    SILENCE_MEANINGS,
    STATES,
    TRANSFER_OUTCOMES,
    URGENCY_RANKS,
    AgentReply,
    Case,
    CaseActionRecord,
    CaseContact,
    CaseRelation,
    DeliveryStatus,
    DepartmentMove,
    TransferRecord,
)
from parvis.desk.models.outgoing_file import OutgoingFile

log = logger()
Model = TypeVar("Model")
Row = Mapping[Any, Any]

_KNOWN_VALUES: dict[type[object], dict[str, frozenset[object]]] = {
    Case: {
        "state": frozenset(STATES),
        "urgency": frozenset(URGENCY_RANKS.values()),
        "silence_means": frozenset({None, *SILENCE_MEANINGS}),
    },
    CaseRelation: {"kind": frozenset(RELATION_KINDS)},
    DeliveryStatus: {
        "kind": frozenset(get_args(ReplyKind)),
        "state": frozenset(get_args(DeliveryState)),
        "failure_class": frozenset({None, *get_args(FailureClass)}),
    },
    TransferRecord: {"outcome": frozenset(TRANSFER_OUTCOMES)},
    CaseActionRecord: {"kind": frozenset(ACTION_KINDS)},
}
_REASONS = frozenset(
    reason.replace(" ", "-")
    for event in (TransferRefused, SplitRefused, LinkRefused)
    for reason in get_args(event.model_fields["why"].annotation)
)
_OPEN_ENDED = frozenset({"answer_due_at", "escalate_at"})  # NO_DATE where nothing is due


class DamagedCase(Poison):
    """A case whose row cannot be read; only its identifiers are known."""

    def __init__(self, reason: str, row: Row) -> None:
        super().__init__(reason)
        self.conversation_id: str = row["conversation_id"]
        self.reference: str = row["reference"]
        self.department: str = row["department"]


def decode_case(row: Row) -> Case:
    """Raises: DamagedCase, when a value is not one that the desk writes."""
    try:
        return _decode(Case, row)
    except Poison as error:
        raise DamagedCase(str(error), row) from error


def decode_readable_case(row: Row) -> Case | None:
    """The case of a row. None, and a log line, if it cannot be read."""
    try:
        return decode_case(row)
    except DamagedCase as error:
        log.error("case.unreadable", conversation_id=error.conversation_id, reason=str(error))  # noqa: TRY400 (the reason says it all)
        return None


def decode_all(decode: Callable[[Row], Model], rows: Iterable[Row]) -> tuple[tuple[Model, ...], int]:
    """The decoded rows, and the number of damaged ones; each of these is logged."""
    sound: list[Model] = []
    damaged = 0
    for row in rows:
        try:
            sound.append(decode(row))
        except Poison as error:
            damaged += 1
            log.error("case-record.unreadable", conversation_id=row["conversation_id"], reason=str(error))  # noqa: TRY400 (the reason says it all)
    return tuple(sound), damaged


def decoder(model: type[Model]) -> Callable[[Row], Model]:
    """A function that decodes the rows of one table."""
    return lambda row: _decode(model, row)


def decode_contact(row: Row) -> CaseContact:
    """Raises: Poison, when the stored event cannot be read."""
    try:
        event = ContactRouted.model_validate_json(row["routed"])
    except ValueError as error:
        raise Poison("the event of a contact cannot be read") from error
    is_own = event.routing.conversation_id == row["conversation_id"]
    return CaseContact(event.routing, event.contact, None if is_own else row["sequence"])


def _decode(model: type[Model], row: Row) -> Model:
    for name, known in _KNOWN_VALUES.get(model, {}).items():
        if row[name] not in known:
            raise Poison(f"{model.__name__}.{name} has an unknown value")
    for name, value in row.items():
        if isinstance(value, datetime) and not _is_plausible(name, value):
            raise Poison(f"{model.__name__}.{name} is no instant")
        if isinstance(value, list) and name != "files" and not all(isinstance(part, str) for part in value):  # pyright: ignore[reportUnknownVariableType]
            raise Poison(f"{model.__name__}.{name} is no list of texts")
    if model is TransferRecord and row["why"] is not None and row["why"].replace(" ", "-") not in _REASONS:
        raise Poison("TransferRecord.why is no known reason")
    if model is CaseActionRecord and row["kind"] in ("split_refused", "link_refused") and row["text"] not in _REASONS:
        raise Poison("CaseActionRecord.text is no known reason")
    if model in (DepartmentMove, CaseRelation):
        _check_json(row)
    if model is AgentReply:
        _check_files(row["files"])
    return model(**row)


def _is_plausible(name: str, instant: datetime) -> bool:
    """Whether the instant can be shown in the town's time zone."""
    return instant.year > 1000 and (instant.year < 9999 or name in _OPEN_ENDED)


def _check_json(row: Row) -> None:
    try:
        if row["history"] is not None:
            ClaimCheck.model_validate(row["history"])
        if row.get("stopped") is not None:
            DivertedTransfer.model_validate(row["stopped"])
    except ValueError as error:
        raise Poison("the stored JSON of a move cannot be read") from error


def _check_files(stored: list[dict[str, Any]]) -> None:
    try:
        for file in stored:
            OutgoingFile.decode(file)
    except (ValueError, LookupError, TypeError) as error:
        raise Poison("the stored files of a reply cannot be read") from error
