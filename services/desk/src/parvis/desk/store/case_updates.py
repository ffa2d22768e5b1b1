"""Writes cases and their records; inserts are idempotent, and cases are locked in the order of their ids."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from sqlalchemy import Table, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.channels import channel
from parvis.desk.models.case import (
    AgentReply,
    Case,
    CaseActionRecord,
    CaseContact,
    CaseContactRecord,
    CaseRelation,
    CaseRow,
    CounterContact,
    DeliveryStatus,
    DepartmentMove,
    SplitPlacement,
    TransferOutcome,
    TransferRecord,
)
from parvis.desk.schema.case_tables import (
    act,
    case_file,
    contact,
    counter_contact,
    delivery,
    move,
    placement,
    reply,
    step,
    transfer,
)
from parvis.desk.store.caller_lookup import index_callers
from parvis.desk.store.live_updates import notify_departments
from parvis.desk.store.row_decoding import decode_all, decode_case, decode_contact
from parvis.desk.store.text_correction_queries import read_corrections

TABLE_OF: dict[type[object], Table] = {
    CaseContactRecord: contact,
    SplitPlacement: placement,
    DepartmentMove: move,
    CaseRelation: step,
    AgentReply: reply,
    DeliveryStatus: delivery,
    TransferRecord: transfer,
    CaseActionRecord: act,
    CounterContact: counter_contact,
}

# What an agent said in a row: one idempotency key must not stand for two things.
_SAID: dict[type[object], tuple[str, ...]] = {
    AgentReply: ("channel", "address", "text", "files"),
    TransferRecord: ("to_department", "reason"),
    CaseActionRecord: ("kind", "text", "contact_id"),
}

_TEXTS = (
    "subject",
    "text",
    "doubtful_words",
    "quoted",
    "signature",
    "answers",
)  # of a contact's personal data: as long as citizens like


async def insert_missing_cases(connection: AsyncConnection, cases: Mapping[str, Case]) -> None:
    """Insert the cases that do not exist yet."""
    if cases:
        rows = [asdict(cases[conversation]) for conversation in sorted(cases)]
        await connection.execute(insert(case_file).values(rows).on_conflict_do_nothing())


async def lock_cases(connection: AsyncConnection, conversations: Iterable[str]) -> dict[str, Case]:
    """The cases of these conversations, locked until the transaction ends.

    Raises: DamagedCase, when one of them cannot be read.
    """
    wanted = sorted(set(conversations))
    if not wanted:
        return {}
    query = select(case_file).where(case_file.c.conversation_id.in_(wanted))
    rows = await connection.execute(query.order_by(case_file.c.conversation_id).with_for_update())
    return {row["conversation_id"]: decode_case(row) for row in rows.mappings()}


async def update_cases(connection: AsyncConnection, cases: Collection[Case]) -> None:
    """Update cases that this transaction has locked."""
    rows = [{f"new_{name}": value for name, value in asdict(case).items()} for case in cases]
    if not rows:
        return
    await notify_departments(connection, cases)
    columns = [column.name for column in case_file.columns if not column.primary_key]
    statement = (
        update(case_file)
        .where(case_file.c.conversation_id == bindparam("new_conversation_id"))
        .values({name: bindparam(f"new_{name}") for name in columns})
    )
    await connection.execute(statement, rows)


async def insert_rows(connection: AsyncConnection, rows: Sequence[CaseRow]) -> int:
    """Insert rows, and count those that are new. A delivery status replaces the earlier one."""
    added = 0
    for kind, table in TABLE_OF.items():
        kept: dict[tuple[object, ...], CaseRow] = {}
        for row in rows:
            if type(row) is kind and _says_more(row, kept.get(primary_key(row))):
                kept[primary_key(row)] = row
        if not kept:
            continue
        statement = insert(table).values([_values(row) for row in kept.values()])
        if kind is DeliveryStatus:
            updated = {c.name: statement.excluded[c.name] for c in delivery.columns if not c.primary_key}
            statement = statement.on_conflict_do_update(index_elements=["delivery_id"], set_=updated)
        elif kind is SplitPlacement:  # the later of two splits wins
            later = {c.name: statement.excluded[c.name] for c in placement.columns if not c.primary_key}
            is_later = placement.c.at <= statement.excluded.at
            statement = statement.on_conflict_do_update(index_elements=["contact_id"], set_=later, where=is_later)
        elif kind is DepartmentMove:  # sent twice; the event to the old department has no history
            with_history = {"history": func.coalesce(statement.excluded.history, move.c.history)}
            statement = statement.on_conflict_do_update(
                index_elements=["conversation_id", "sequence"], set_=with_history
            )
        else:
            statement = statement.on_conflict_do_nothing()
        added += (await connection.execute(statement)).rowcount
    await index_callers(connection, [row for row in rows if isinstance(row, CaseContactRecord)])
    for row in rows:
        if isinstance(row, TransferOutcome):
            await _update_transfers(connection, row)
    return added


def _says_more(row: CaseRow, earlier: CaseRow | None) -> bool:
    """Whether a row replaces an earlier one with its key in the same INSERT, as it would in the table."""
    match row, earlier:
        case DepartmentMove(), DepartmentMove():
            return row.history is not None
        case SplitPlacement(), SplitPlacement():
            return earlier.at <= row.at
        case _:
            return True


async def are_stored_alike(connection: AsyncConnection, rows: Sequence[CaseRow]) -> bool:
    """Whether the stored rows with these keys say what these rows say."""
    for row in rows:
        said, table = _SAID.get(type(row)), TABLE_OF.get(type(row))
        if said is None or table is None:
            continue
        keys = [column == value for column, value in zip(table.primary_key.columns, primary_key(row), strict=True)]
        stored = (await connection.execute(select(*(table.c[name] for name in said)).where(*keys))).first()
        if stored is None or tuple(stored) != tuple(getattr(row, name) for name in said):
            return False
    return True


def _values(row: CaseRow) -> Mapping[str, object]:
    return asdict(row) | ({"brief": _without_texts(row.routed)} if isinstance(row, CaseContactRecord) else {})


def _without_texts(routed: bytes) -> bytes | None:
    """The event of a contact without what the citizen wrote. None if it cannot be read."""
    try:
        event = json.loads(routed)
        personal = event["contact"]["personal"]
        event["contact"]["personal"] = {name: personal[name] for name in personal if name not in _TEXTS}
    except (ValueError, LookupError, TypeError):
        return None
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def primary_key(row: CaseRow) -> tuple[object, ...]:
    """The primary key of a record: one INSERT must not contain it twice."""
    table = TABLE_OF[type(row)]
    return tuple(getattr(row, column.name) for column in table.primary_key.columns)


async def _update_transfers(connection: AsyncConnection, row: TransferOutcome) -> None:
    statement = update(transfer).where(
        transfer.c.conversation_id == row.conversation_id, transfer.c.outcome == "pending"
    )
    if row.transfer_id:
        statement = statement.where(transfer.c.transfer_id == row.transfer_id)
    else:
        statement = statement.where(transfer.c.to_department == row.to_department)
    await connection.execute(statement.values(outcome=row.outcome, why=row.why))


async def has_reply(connection: AsyncConnection, reply_id: str) -> bool:
    return await connection.scalar(select(reply.c.reply_id).where(reply.c.reply_id == reply_id)) is not None


async def existing_contact_ids(connection: AsyncConnection, contacts: Iterable[str]) -> set[str]:
    """The ids among these that are in a case already."""
    wanted = list(contacts)
    query = select(contact.c.contact_id).where(contact.c.contact_id.in_(wanted))
    return set(await connection.scalars(query)) if wanted else set()


async def read_deliveries(connection: AsyncConnection, deliveries: Iterable[str]) -> dict[str, DeliveryStatus]:
    wanted = list(deliveries)
    query = select(delivery).where(delivery.c.delivery_id.in_(wanted))
    rows = (await connection.execute(query)).mappings() if wanted else ()
    return {row["delivery_id"]: DeliveryStatus(**row) for row in rows}


async def read_placements(connection: AsyncConnection, contacts: Iterable[str]) -> dict[str, SplitPlacement]:
    """The placements of these contacts by splits."""
    wanted = list(contacts)
    query = select(placement).where(placement.c.contact_id.in_(wanted))
    rows = (await connection.execute(query)).mappings() if wanted else ()
    return {row["contact_id"]: SplitPlacement(**row) for row in rows}


async def move_contacts(connection: AsyncConnection, contacts: Iterable[str]) -> set[str]:
    """Move contacts to the cases that splits assigned them to. Gives the conversations that lost or gained some."""
    wanted = list(contacts)
    if not wanted:
        return set()
    elsewhere = (
        select(contact.c.contact_id, contact.c.conversation_id.label("was"), placement)
        .join(placement, placement.c.contact_id == contact.c.contact_id)
        .where(contact.c.contact_id.in_(wanted), contact.c.conversation_id != placement.c.conversation_id)
    )
    moved = (await connection.execute(elsewhere)).mappings().all()
    for row in moved:
        values = {"conversation_id": row["conversation_id"], "sequence": row["sequence"]}
        await connection.execute(update(contact).where(contact.c.contact_id == row["contact_id"]).values(values))
    return {row["was"] for row in moved} | {row["conversation_id"] for row in moved}


async def read_contacts(connection: AsyncConnection, conversation: str) -> tuple[CaseContact, ...]:
    """The contacts of a conversation in their order, decoded; damaged ones are logged and left out."""
    contacts, _ = await read_contacts_and_damage(connection, conversation)
    return contacts


async def read_brief_contacts(connection: AsyncConnection, conversation: str) -> tuple[CaseContact, ...]:
    """The contacts of a conversation without their texts, which PostgreSQL does not even read."""
    contacts, _ = await read_contacts_and_damage(connection, conversation, is_brief=True)
    return contacts


async def read_whole_contacts(connection: AsyncConnection, contacts: Iterable[str]) -> dict[str, CaseContact]:
    """These contacts with their texts, by id; damaged ones are logged and left out."""
    query = select(contact).where(contact.c.contact_id.in_(list(contacts)))
    whole, _ = decode_all(decode_contact, (await connection.execute(query)).mappings())
    return {opened.contact.contact_id: opened for opened in whole}


async def read_contacts_and_damage(
    connection: AsyncConnection, conversation: str, *, is_brief: bool = False
) -> tuple[tuple[CaseContact, ...], int]:
    """The contacts of a conversation, and the number of those that cannot be read."""
    event = func.coalesce(contact.c.brief, contact.c.routed) if is_brief else contact.c.routed
    columns = (contact.c.conversation_id, contact.c.sequence, event.label("routed"))
    query = select(*columns).where(contact.c.conversation_id == conversation).order_by(contact.c.sequence, contact.c.at)
    contacts, damaged = decode_all(decode_contact, (await connection.execute(query)).mappings())
    is_wish = (act.c.conversation_id == conversation) & (act.c.kind == "wish_confirmed")
    confirmed = set(await connection.scalars(select(act.c.text).where(is_wish)))
    corrections = await read_corrections(connection, [o for o in contacts if channel(o.contact.channel).is_scanned])
    return tuple(
        replace(o, is_confirmed=o.contact.contact_id in confirmed, correction=corrections.get(o.contact.contact_id))
        for o in contacts
    ), damaged
