"""F-53: the routers' handlers meet EMFILE again and again, and MemoryError after a while."""

from tests.faults.oracle import Verdict
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import FAULTY_SERVICE, RouterScenario


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    seconds, per_second = (60, 200) if full else (2, 60)
    verdict, sound = Verdict(), testbed.routers.command
    exits = testbed.routers.unexpected_exits
    seen = testbed.count_log_lines("the machine is in trouble (EMFILE)")
    testbed.routers.command = (*FAULTY_SERVICE, "router", "machine-in-trouble")
    try:
        await testbed.routers.stop_all()
        for number in (1, 2, 3):
            testbed.routers.launch(number)
        async with testbed.load(per_second=per_second) as contacts:
            await contacts.wait_until_sent(seconds * per_second)
            has_died = await testbed.wait_until(lambda: testbed.routers.unexpected_exits > exits)
    finally:
        testbed.routers.command = sound
    await testbed.routers.stop_all()
    await testbed.routers.start(1, 2, 3)
    died = testbed.routers.unexpected_exits - exits
    seen = testbed.count_log_lines("the machine is in trouble (EMFILE)") - seen
    await testbed.settle_and_check(verdict, expected_exits=died)
    verdict.figures |= {"EMFILE": seen, "out of memory": died}
    verdict.expect(has_died, "no router ended for want of memory")
    verdict.expect(seen > 0, "no handler met EMFILE: the fault was not injected")
    return verdict


SCENARIO = RouterScenario(
    "F-53",
    "the routers' handlers run out of file descriptors again and again, and out of memory after some batches, for a minute, at 200 contacts/s",
    "no dead letter; a router without memory starts anew; I1 I2 I3 I7",
    run,
    "one",
)
