"""The rows of a wish and its record in, what departments and the citizen are told out. Pure; the same every time."""

from collections.abc import Mapping
from uuid import UUID

from parvis.common.bus.cloudevents import ReceivedRecord, Record
from parvis.common.contract import topics
from parvis.common.contract.event import Event
from parvis.common.contract.routing.split_and_link import (
    ConversationLinked,
    ConversationOpened,
    ConversationSplit,
    ConversationUnlinked,
    LinkRefused,
    LinkRequested,
    SplitRefused,
    SplitRequested,
)
from parvis.common.contract.routing.transfer import ConversationArrived, TransferRefused, TransferRequested
from parvis.router.consume.record_factory import RecordFactory
from parvis.router.decide.conversation_history import decode_last_source
from parvis.router.decide.notices import transfer_notice
from parvis.router.decide.request_rows import DepartmentRequest, decision_id, second_decision_id
from parvis.router.decide.transfer_conversation import left_event
from parvis.router.models.stored_rows import DecisionRow


def of_wish(
    mail: RecordFactory, wish: DepartmentRequest, received: ReceivedRecord, rows: Mapping[UUID, DecisionRow]
) -> list[Record]:
    """What follows from a wish: the steps of its conversations for their departments, or the refusal for the one that asked."""
    row = rows[decision_id(wish)]
    if row.kind == "refusal":
        return _refusal(mail, wish, received, row)
    match wish:
        case TransferRequested():
            return _transfer(mail, wish, received, row)
        case SplitRequested():
            return _split(mail, wish, received, row, rows[second_decision_id(row.id)])
        case LinkRequested():
            return [_link(mail, received, one) for one in (row, rows[second_decision_id(row.id)])]


def _transfer(mail: RecordFactory, wish: TransferRequested, received: ReceivedRecord, row: DecisionRow) -> list[Record]:
    """`left` and `arrived`; and the citizen is told, when another body is competent now."""
    arrived = ConversationArrived.model_validate_json(row.value)
    channel, addressed_as = decode_last_source(row.came)
    notice = transfer_notice(
        arrived, arrived.to_department, mail.town_config,
        cause=f"transfer:{wish.transfer_id}", channel=channel, addressed_as=addressed_as,
    )  # fmt: skip
    told = [
        _step(mail, left_event(arrived), arrived.from_department, received, row, "left"),
        _step(mail, arrived, arrived.to_department, received, row, "arrived"),
    ]
    if notice is None:
        return told
    conversation = arrived.conversation_id
    return [*told, mail.event_record(notice, topics.REPLY_REQUESTED, conversation, notice.reply_id, row, received)]


def _split(
    mail: RecordFactory, wish: SplitRequested, received: ReceivedRecord, row: DecisionRow, other: DecisionRow
) -> list[Record]:
    """`split` for the department that keeps the rest, `opened` for that of the new conversation; the citizen as above."""
    split = ConversationSplit.model_validate_json(row.value)
    opened = ConversationOpened.model_validate_json(other.value)
    channel, addressed_as = decode_last_source(other.came)
    notice = transfer_notice(
        opened, opened.department, mail.town_config,
        cause=f"split:{wish.split_id}", channel=channel, addressed_as=addressed_as,
    )  # fmt: skip
    told = [
        _step(mail, split, split.department, received, row, "split"),
        _step(mail, opened, opened.department, received, other, "opened"),
    ]
    if notice is None:
        return told
    conversation = opened.conversation_id
    return [*told, mail.event_record(notice, topics.REPLY_REQUESTED, conversation, notice.reply_id, other, received)]


def _link(mail: RecordFactory, received: ReceivedRecord, row: DecisionRow) -> Record:
    kind = ConversationLinked if row.kind == "linked" else ConversationUnlinked
    told = kind.model_validate_json(row.value)
    return _step(mail, told, told.department, received, row, row.kind)


def _step(
    mail: RecordFactory, told: Event, department: str, received: ReceivedRecord, row: DecisionRow, word: str
) -> Record:
    conversation = str(row.conversation_id)
    event_id = f"{conversation}:{row.sequence}:{word}"
    return mail.event_record(told, topics.department_topic(department), conversation, event_id, row, received)


def _refusal(mail: RecordFactory, wish: DepartmentRequest, received: ReceivedRecord, row: DecisionRow) -> list[Record]:
    match wish:
        case TransferRequested():
            told, name = TransferRefused.model_validate_json(row.value), wish.transfer_id
        case SplitRequested():
            told, name = SplitRefused.model_validate_json(row.value), wish.split_id
        case LinkRequested():
            told, name = LinkRefused.model_validate_json(row.value), wish.link_id
    # A department that does not exist has no queue to be told in.
    if told.from_department not in mail.town_config.departments:
        return []
    queue = topics.department_topic(told.from_department)
    return [mail.event_record(told, queue, told.conversation_id, f"{name}:refused", row, received)]
