"""Facts about the parent of worker processes, with real processes: it survives anything they answer, and starts them again."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from parvis.common.contract.errors import Misconfigured
from parvis.common.runtime import service_processes
from parvis.common.runtime.health import Health
from parvis.common.runtime.service import Service
from parvis.common.runtime.service_processes import WorkerProcesses

GOOD = b"HTTP/1.0 200 OK\r\n\r\n# TYPE parvis_x counter\nparvis_x_total 2.0\n"
NOT_READY = b'HTTP/1.0 503 Service Unavailable\r\n\r\n{"kafka": "does not answer"}'
SILLY = [
    b"",
    b"\r\n\r\n",
    b"HTTP/1.0",
    b"HTTP/1.0 ",
    b"\xff\xfe\x00garbage",
    b"HTTP/1.0 200 OK\r\n\r\n{{{ not metrics \xff",
    b'HTTP/1.0 200 OK\r\n\r\nparvis_x{a="b 1\n',
    b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 20_000_000,
    b"hang",
]
WORKER = "silly_worker"


@pytest.fixture
def answer(tmp_path: Path) -> Path:
    file = tmp_path / "answer"
    file.write_bytes(GOOD)
    return file


def workers(answer: Path, *, count: int = 1, **environment: str) -> WorkerProcesses:
    paths = {"PYTHONPATH": str(Path(__file__).parent), "PARVIS_SILLY_ANSWER": str(answer)}
    everything = {**os.environ, **paths, **environment}  # noqa: TID251 (passed on whole)
    return WorkerProcesses(WORKER, count, prefix="PARVIS_SILLY_", environment=everything)


@asynccontextmanager
async def running(made: Service) -> AsyncGenerator[list["asyncio.Task[None]"]]:
    stopping = asyncio.Event()

    async def run(task: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        await task(stopping)

    tasks = [asyncio.create_task(run(task)) for task in made.tasks]
    async with AsyncExitStack() as undo:
        for close in made.closing:
            undo.push_async_callback(close)
        try:
            yield tasks
        finally:
            stopping.set()
            await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


def standing(health: Health) -> str | None:
    return health.parts["worker 1"]


async def page(made: Service, path: str) -> str:
    transport = httpx.ASGITransport(made.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://parent") as client:
        return (await client.get(path)).text


@pytest.fixture(autouse=True)
def polls_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_processes, "_POLL_INTERVAL_S", 0.05)


@pytest.mark.parametrize("content", SILLY, ids=lambda content: repr(content[:40]))
async def test_the_parent_survives_anything_that_a_worker_answers(answer: Path, content: bytes):
    parent = workers(answer)
    made = parent.service("silly", "127.0.0.1", 0)
    async with running(made) as tasks:
        await until(lambda: standing(parent.health) is None)
        answer.write_bytes(content)
        await until(lambda: standing(parent.health) == "does not answer" or any(task.done() for task in tasks))
        assert not any(task.done() for task in tasks)
        assert "parvis_x_total" in await page(made, "/metrics")
        answer.write_bytes(GOOD)
        await until(lambda: standing(parent.health) is None)


async def test_a_worker_that_is_not_ready_says_why_on_the_parents_page(answer: Path):
    answer.write_bytes(NOT_READY)
    parent = workers(answer)
    async with running(parent.service("silly", "127.0.0.1", 0)):
        await until(lambda: standing(parent.health) == '{"kafka": "does not answer"}')
        assert not parent.health.is_ready


async def test_metrics_of_all_workers_are_told_apart_by_a_label(answer: Path):
    parent = workers(answer, count=2)
    made = parent.service("silly", "127.0.0.1", 0)
    async with running(made):
        await until(lambda: parent.health.is_ready)
        text = await page(made, "/metrics")

    assert 'parvis_x_total{worker="1"} 2.0' in text
    assert 'parvis_x_total{worker="2"} 2.0' in text


async def test_a_worker_that_dies_is_started_again(answer: Path, monkeypatch: pytest.MonkeyPatch):
    started: list[int] = []
    create = asyncio.create_subprocess_exec

    async def recorded(*arguments: str, **options: object) -> asyncio.subprocess.Process:
        process = await create(*arguments, **options)  # pyright: ignore[reportArgumentType]
        started.append(process.pid)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", recorded)
    parent = workers(answer)
    async with running(parent.service("silly", "127.0.0.1", 0)):
        await until(lambda: standing(parent.health) is None)
        os.kill(started[0], signal.SIGKILL)
        await until(lambda: len(started) == 2)
        await until(lambda: standing(parent.health) is None)


async def test_a_misconfigured_worker_ends_the_parent(answer: Path):
    parent = workers(answer, PARVIS_SILLY_EXIT="78")
    async with running(parent.service("silly", "127.0.0.1", 0)) as tasks:
        with pytest.raises(Misconfigured, match="worker 1"):
            await asyncio.wait_for(tasks[0], 120)


async def test_a_worker_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service_processes, "_STOP_TIMEOUT_S", 0.2)
    (tmp_path / "stubborn.py").write_text(
        "import signal, time, pathlib, os\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pathlib.Path(os.environ['READY']).touch()\n"
        "time.sleep(3600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "READY": str(tmp_path / "ready")}  # noqa: TID251 (passed on whole)
    parent = WorkerProcesses("stubborn", 1, prefix="PARVIS_SILLY_", environment=environment)
    made = parent.service("silly", "127.0.0.1", 0)
    async with running(made) as tasks:
        await until((tmp_path / "ready").exists)
    assert all(task.done() for task in tasks)
