"""Facts about sandboxed worker processes: what they survive, and what their pool reports when they do not."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.sandbox.job_limits import ResourceLimits
from parvis.common.runtime.sandbox.pool import SandboxPool, SandboxResult

TRIAL = str(Path(__file__).with_name("trial_worker.py"))
LIMITS = ResourceLimits(memory_bytes=512 * 1024 * 1024, cpu_s=10, wall_s=30, answer_bytes=1_000_000)
FIRST = (b"F", b"first")


@asynccontextmanager
async def workers(limits: ResourceLimits = LIMITS, count: int = 1, **more: Any) -> AsyncGenerator[SandboxPool]:
    made = SandboxPool(TRIAL, task="trial", count=count, limits=limits, max_answers=10, **more)
    async with made.running():
        yield made


async def ask(made: SandboxPool, what: str) -> SandboxResult:
    return await made.run_job((b"Q", what.encode()))


async def the_pid(made: SandboxPool, *, not_in: frozenset[int] = frozenset()) -> int:
    async with asyncio.timeout(30):
        while not made.pids - not_in:
            await asyncio.sleep(0.01)
    return next(iter(made.pids - not_in))


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_job_has_its_frames_in_order() -> None:
    async with workers() as made:
        answer = await ask(made, "say bon jour")
    assert answer == SandboxResult((FIRST, (b"W", b"bon"), (b"W", b"jour")))


async def test_large_and_empty_frames_pass_both_ways() -> None:
    frames = ((b"A", b""), (b"B", os.urandom(900_000)), (b"C", b"\x00.!?#"))
    async with workers() as made:
        answer = await made.run_job((b"Q", b"echo"), *frames)
    assert answer.frames == (FIRST, *frames)


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")
@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"])
async def test_a_worker_opens_no_socket(family: str) -> None:
    async with workers() as made:
        assert (await ask(made, f"connect {family}")).frames[1:] == ((b"S", b"PermissionError"),)


async def test_several_jobs_at_once_each_get_their_own_answer() -> None:
    async with workers(count=2) as made:
        answers = await asyncio.gather(*(ask(made, f"say {n}") for n in range(200)))
    assert [answer.frames[1][1] for answer in answers] == [b"%d" % n for n in range(200)]


@pytest.mark.parametrize(
    ("what", "trouble"),
    [
        ("raise", "damaged file (ValueError)"),
        ("nest", "too deeply nested"),
        ("memory", "trial needs more memory than allowed"),
        ("SIGSEGV", "the trial worker stopped (SIGSEGV)"),
        ("SIGKILL", "the trial worker stopped (SIGKILL)"),
        ("many 11", "the trial worker answered nonsense"),
        ("large 2000000", "the trial worker answered nonsense"),
        ("nonsense", "the trial worker answered nonsense"),
    ],
)
async def test_a_job_that_ends_badly_says_why_and_the_next_is_done(what: str, trouble: str) -> None:
    async with workers() as made:
        answer = await ask(made, what)
        assert (answer.frames[0], answer.trouble) == (FIRST, trouble)
        assert (await ask(made, "say well")).trouble is None


async def test_an_exception_costs_no_worker_and_a_lack_of_memory_does() -> None:
    async with workers() as made:
        pid = await the_pid(made)
        await ask(made, "raise")
        assert (await ask(made, "who")).frames[1] == (b"P", b"%d" % pid)
        await ask(made, "memory")
        assert (await ask(made, "who")).frames[1] != (b"P", b"%d" % pid)


async def test_a_job_that_takes_too_long_leaves_what_was_said() -> None:
    async with workers(ResourceLimits(LIMITS.memory_bytes, 10, 1.0)) as made:
        assert await ask(made, "hang") == SandboxResult((FIRST,), "trial took longer than 1 s")
        assert (await ask(made, "say well")).trouble is None


async def test_a_job_that_needs_too_much_processor_time_is_not_tried_twice() -> None:
    async with workers(ResourceLimits(LIMITS.memory_bytes, 1, 30)) as made:
        assert await ask(made, "turn") == SandboxResult((FIRST,), "trial needs more than 1 s of processor time")


async def test_processor_time_is_counted_for_each_job_alone() -> None:
    async with workers(ResourceLimits(LIMITS.memory_bytes, 1, 30)) as made:
        for _ in range(3):
            assert (await ask(made, "say well")).trouble is None


async def test_a_job_whose_worker_dies_of_something_else_is_done_by_the_next(tmp_path: Path) -> None:
    async with workers() as made:
        assert await ask(made, f"once {tmp_path / 'flag'}") == SandboxResult((FIRST,))


async def test_a_worker_killed_between_jobs_costs_nobody_anything() -> None:
    async with workers() as made:
        pid = await the_pid(made)
        os.kill(pid, signal.SIGKILL)
        assert (await ask(made, "say well")).trouble is None
        assert await the_pid(made) != pid


async def test_a_worker_killed_in_the_middle_is_replaced() -> None:
    async with workers() as made:
        pid = await the_pid(made)
        hanging = asyncio.ensure_future(ask(made, "hang"))
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        second = await the_pid(made, not_in=frozenset([pid]))
        os.kill(second, signal.SIGKILL)
        assert (await hanging).trouble == "the trial worker stopped (SIGKILL)"


async def test_a_worn_out_worker_goes_on_until_its_successor_is_there() -> None:
    async with workers(recycled_after=2) as made, asyncio.timeout(60):
        pids = [(await ask(made, "who")).frames[1][1] for _ in range(2)]
        while pids[-1] == pids[0]:
            pids.append((await ask(made, "who")).frames[1][1])
    assert pids[0] == pids[1]


async def test_one_who_goes_away_disturbs_no_other() -> None:
    async with workers() as made:
        waiting = [asyncio.ensure_future(ask(made, "hang")) for _ in range(3)]
        last = asyncio.ensure_future(ask(made, "say well"))
        await the_pid(made)
        os.kill(next(iter(made.pids)), signal.SIGKILL)  # whether or not one has begun
        for one in waiting:
            one.cancel()
        assert (await last).frames[1:] == ((b"W", b"well"),)


async def test_without_a_worker_the_sender_is_told_to_come_again() -> None:
    async with workers(ResourceLimits(2**70, 10, 5)) as made:  # a limit that no system takes: the worker ends at once
        with pytest.raises(Unavailable):
            await ask(made, "say well")


@pytest.mark.parametrize(("how", "why"), [("lame", "does not start (ImportError)"), ("dead", "does not start")])
async def test_a_worker_that_cannot_warm_up_says_why(how: str, why: str) -> None:
    async with workers(arguments=[how]) as made:
        with pytest.raises(Unavailable) as refused:
            await ask(made, "say well")
    assert str(refused.value).endswith(why)


async def test_those_who_wait_when_the_service_stops_are_told_to_come_again() -> None:
    async with workers() as made:
        asked = [asyncio.ensure_future(ask(made, "hang")) for _ in range(2)]
        await the_pid(made)
    for one in asked:
        with pytest.raises(Unavailable):
            await one
    with pytest.raises(Unavailable):
        await ask(made, "say well")


async def test_no_process_is_left_behind() -> None:
    async with workers(count=2) as made:
        hanging = [asyncio.ensure_future(ask(made, "hang")) for _ in range(2)]
        await the_pid(made)
        pids = set(made.pids)
    await asyncio.gather(*hanging, return_exceptions=True)
    assert pids
    assert all(map(is_gone, pids))


async def test_what_a_parser_starts_ends_with_it() -> None:
    async with workers() as made:  # the child holds the pipe of the answers: were it alive, the end would not come
        async with asyncio.timeout(20):
            assert (await ask(made, "child")).trouble == "the trial worker stopped (SIGSEGV)"


async def test_what_a_parser_prints_reaches_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    async with workers() as made:
        assert await ask(made, "print") == SandboxResult((FIRST,))
    assert "Dupont" not in "".join(capfd.readouterr())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows a process's environment")
async def test_the_worker_has_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARVIS_SECRET_KEY", "a secret for this test")
    async with workers(arguments=["one", "two"]) as made:
        _, _, given, environment = (await ask(made, "who")).frames
    assert given == (b"A", b"one two")
    assert b"PARVIS" not in environment[1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows processes to each other")
async def test_a_worker_looks_into_neither_the_service_nor_its_neighbours() -> None:
    """Else what has taken it over reads our secrets in /proc/<parent>/environ. (Root, as in many tests, may always look.)"""
    async with workers() as made:
        answer = await ask(made, "closed")
    assert answer.frames[1] == (b"D", b"0")
    assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0
