"""F-05: a forgotten psql session holds the lock of a conversation's row."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import text

from parvis.common.runtime.clock import now
from parvis.common.storage.postgres import Database
from tests.faults.oracle import Verdict, longest_wait_s, read_state
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario

LONGEST_WAIT_S = 15.0  # of other contacts, once the blocked one is parked


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    seconds, per_second = (60, 200) if full else (1, 60)
    verdict, parked = Verdict(), testbed.count_log_lines("slow-contact.postponed")
    began = now()  # conversations of earlier scenarios get no more contacts
    async with testbed.load(per_second=per_second, transfers_every_s=None) as contacts:
        await contacts.wait_until_sent(60)
        async with _locked_conversation(testbed, began) as conversation:
            is_parked = await testbed.wait_until(lambda: testbed.count_log_lines("slow-contact.postponed") > parked)
            await asyncio.sleep(1)
            later = len(contacts.attempts)
            await asyncio.sleep(seconds)
            state = await read_state(testbed.stack)
            waiting = state.waiting
    verdict.expect(
        is_parked and bool(waiting), "no contact was parked: the lock had no effect, or everything was blocked"
    )
    state = await testbed.settle_and_check(verdict)
    behind_it = {row.id for row in state.decisions if row.conversation_id == conversation}
    behind_it |= waiting  # later messages of the same citizen wait behind it, to keep their order
    others = [attempt for attempt in contacts.attempts[later:] if attempt.contact_id not in behind_it]
    others_s = longest_wait_s(state, others)
    verdict.figures |= {
        "waited while held": len(waiting),
        "parked": testbed.count_log_lines("slow-contact.postponed") - parked,
    }
    verdict.figures["longest wait of others ms"] = int(others_s * 1000)
    verdict.expect_within(others_s, LONGEST_WAIT_S, "a contact of another citizen waited", full=full)
    if full:  # a busy machine also parks contacts that take longer than the limit
        parked_times = verdict.figures["parked"]
        verdict.expect(parked_times <= 5, f"parked {parked_times} times: it is parked again and again")
    return verdict


@asynccontextmanager
async def _locked_conversation(testbed: RouterTestbed, since: datetime) -> AsyncGenerator[str]:
    """Lock the row of an active conversation opened since then, for the duration of the block. Yields its id."""
    database = Database(testbed.stack.database_url, service="forgotten")
    find = text("""
        select id from router.conversation where opened_at > :since and sequence > 1 order by sequence desc, id limit 1
    """)
    lock = text("select id from router.conversation where id = :id for update")
    try:
        async with database.transaction() as connection:
            await connection.execute(text("set local idle_in_transaction_session_timeout = 0"))  # as in psql
            while (newest := await connection.scalar(find, {"since": since})) is None:
                await asyncio.sleep(0.1)
            await connection.execute(lock, {"id": newest})
            yield str(newest)
    finally:
        await database.close()


SCENARIO = RouterScenario(
    "F-05",
    "a session locks a conversation's row for a minute, at 200 contacts/s",
    "its contacts wait in `waiting`, once and in order; others are decided; I1 I2 I3 I7",
    run,
    "one",
)
