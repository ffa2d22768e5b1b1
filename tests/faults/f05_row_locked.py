"""F-05: one contact takes longer than anybody waits: somebody holds its conversation's row, as a forgotten psql does."""

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

LONGEST_WAIT_S = 15.0  # of the others, once the one is parked


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    seconds, per_second = (60, 200) if full else (1, 60)
    verdict, parked = Verdict(), testbed.count_log_lines("contact.parked")
    began = now()  # who wrote in another play writes no more
    async with testbed.load(per_second=per_second, transfers_every_s=None) as contacts:
        await contacts.wait_until_sent(60)
        async with _locked_conversation(testbed, began) as conversation:
            is_parked = await testbed.wait_until(lambda: testbed.count_log_lines("contact.parked") > parked)
            await asyncio.sleep(1)
            later = len(contacts.attempts)
            await asyncio.sleep(seconds)
            state = await read_state(testbed.stack)
            waiting = state.waiting
    verdict.expect(is_parked and bool(waiting), "nobody was parked: either all stand still, or nothing was tried")
    state = await testbed.settle_and_check(verdict)
    behind_it = {row.id for row in state.decisions if row.conversation_id == conversation}
    behind_it |= waiting  # what its citizen wrote since waits behind it, whatever it is about: their order
    others = [attempt for attempt in contacts.attempts[later:] if attempt.contact_id not in behind_it]
    others_s = longest_wait_s(state, others)
    verdict.figures |= {"waited while held": len(waiting), "parked": testbed.count_log_lines("contact.parked") - parked}
    verdict.figures["longest wait of others ms"] = int(others_s * 1000)
    verdict.expect_within(others_s, LONGEST_WAIT_S, "somebody else waited", full=full)
    if full:  # a busy machine parks others, too, whose turn takes longer than the limit
        parked_times = verdict.figures["parked"]
        verdict.expect(parked_times <= 5, f"parked {parked_times} times: an endless redelivery")
    return verdict


@asynccontextmanager
async def _locked_conversation(testbed: RouterTestbed, since: datetime) -> AsyncGenerator[str]:
    """The row of a conversation that was opened since then and goes on, locked as long as the block lasts."""
    database = Database(testbed.stack.database_url, service="forgotten")
    find = text("""
        select id from router.conversation where opened_at > :since and sequence > 1 order by sequence desc, id limit 1
    """)
    lock = text("select id from router.conversation where id = :id for update")
    try:
        async with database.transaction() as connection:
            await connection.execute(text("set local idle_in_transaction_session_timeout = 0"))  # a psql has none
            while (newest := await connection.scalar(find, {"since": since})) is None:
                await asyncio.sleep(0.1)
            await connection.execute(lock, {"id": newest})
            yield str(newest)
    finally:
        await database.close()


SCENARIO = RouterScenario(
    "F-05",
    "somebody locks a conversation's row for a minute, at 200 contacts/s",
    "its contacts wait in `waiting`, once and in order; others flow; I1 I2 I3 I7",
    run,
    "one",
)
