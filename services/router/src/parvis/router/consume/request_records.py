"""Builds the events that answer a department's request. No I/O; the same row always gives the same records."""

from collections.abc import Mapping
from uuid import UUID

from parvis.common.bus.cloudevents import ReceivedRecord, Record
from parvis.common.contract import topics
from parvis.common.contract.event_base import Event
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
from parvis.router.decide.department_request_rows import DepartmentRequest, decision_id, second_decision_id
from parvis.router.decide.notices import notice_of_move
from parvis.router.decide.transfer_conversation import left_event
from parvis.router.models.stored_rows import DecisionRow


def build_request_records(
    factory: RecordFactory, request: DepartmentRequest, cause: ReceivedRecord, rows: Mapping[UUID, DecisionRow]
) -> list[Record]:
    """The steps for the departments concerned, or the refusal for the requesting department."""
    row = rows[decision_id(request)]
    if row.kind == "refusal":
        return _refusal_records(factory, request, cause, row)
    match request:
        case TransferRequested():
            return _transfer_records(factory, request, cause, row)
        case SplitRequested():
            return _split_records(factory, request, cause, (row, rows[second_decision_id(row.id)]))
        case LinkRequested():
            return [_link_record(factory, cause, side) for side in (row, rows[second_decision_id(row.id)])]


def _transfer_records(
    factory: RecordFactory, request: TransferRequested, cause: ReceivedRecord, row: DecisionRow
) -> list[Record]:
    """`left` and `arrived`, and a notice to the citizen if another public body is competent now."""
    arrived = ConversationArrived.model_validate_json(row.value)
    return [
        _step_record(factory, left_event(arrived), arrived.from_department, cause, row, "left"),
        _step_record(factory, arrived, arrived.to_department, cause, row, "arrived"),
        *_notice_records(factory, arrived, arrived.to_department, cause, row, f"transfer:{request.transfer_id}"),
    ]


def _split_records(
    factory: RecordFactory, request: SplitRequested, cause: ReceivedRecord, rows: tuple[DecisionRow, DecisionRow]
) -> list[Record]:
    """`split` for the original conversation's department, `opened` for the new one's; the notice as for a transfer."""
    row, second = rows
    split = ConversationSplit.model_validate_json(row.value)
    opened = ConversationOpened.model_validate_json(second.value)
    return [
        _step_record(factory, split, split.department, cause, row, "split"),
        _step_record(factory, opened, opened.department, cause, second, "opened"),
        *_notice_records(factory, opened, opened.department, cause, second, f"split:{request.split_id}"),
    ]


def _link_record(factory: RecordFactory, cause: ReceivedRecord, row: DecisionRow) -> Record:
    event_type = ConversationLinked if row.kind == "linked" else ConversationUnlinked
    event = event_type.model_validate_json(row.value)
    return _step_record(factory, event, event.department, cause, row, row.kind)


def _step_record(
    factory: RecordFactory, event: Event, department: str, cause: ReceivedRecord, row: DecisionRow, step: str
) -> Record:
    conversation = str(row.conversation_id)
    return factory.event_record(
        event,
        topics.department_topic(department),
        row,
        cause,
        key=conversation,
        event_id=f"{conversation}:{row.sequence}:{step}",
    )


def _notice_records(
    factory: RecordFactory,
    event: ConversationArrived | ConversationOpened,
    department: str,
    cause: ReceivedRecord,
    row: DecisionRow,
    cause_id: str,
) -> list[Record]:
    channel, addressed_as = decode_last_source(row.source)
    notice = notice_of_move(
        event, department, factory.town_config, cause=cause_id, channel=channel, addressed_as=addressed_as
    )
    if notice is None:
        return []
    key, event_id = event.conversation_id, notice.reply_id
    return [factory.event_record(notice, topics.REPLY_REQUESTED, row, cause, key=key, event_id=event_id)]


def _refusal_records(
    factory: RecordFactory, request: DepartmentRequest, cause: ReceivedRecord, row: DecisionRow
) -> list[Record]:
    match request:
        case TransferRequested():
            refused, request_id = TransferRefused.model_validate_json(row.value), request.transfer_id
        case SplitRequested():
            refused, request_id = SplitRefused.model_validate_json(row.value), request.split_id
        case LinkRequested():
            refused, request_id = LinkRefused.model_validate_json(row.value), request.link_id
    # A department that does not exist has no queue.
    if refused.from_department not in factory.town_config.departments:
        return []
    queue, key = topics.department_topic(refused.from_department), refused.conversation_id
    return [factory.event_record(refused, queue, row, cause, key=key, event_id=f"{request_id}:refused")]
