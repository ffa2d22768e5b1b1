"""Runs numbered router processes beside a stack: starts, kills, pauses and stops them, and restarts those that exit."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from parvis.local.free_ports import FreePorts
from parvis.local.readiness import is_ready, ready_answer
from tests.patience import PATIENCE_S

_LOOK_EVERY_S, _AGAIN_AFTER_S = 0.1, 0.5
MISCONFIGURED = 78


@dataclass
class RouterProcess:
    """One router. `unexpected_exits` counts the exits that the scenario did not cause."""

    port: int
    process: subprocess.Popen[bytes]
    should_run: bool = True
    unexpected_exits: int = 0
    last_exit: int | None = None


@dataclass
class RouterProcesses:
    """Supervises routers on this machine as Kubernetes supervises a Deployment."""

    environment: Mapping[str, str]
    folder: Path
    command: tuple[str, ...] = (sys.executable, "-m", "parvis.router")
    _ports: FreePorts = field(default_factory=FreePorts)
    _processes: dict[int, RouterProcess] = field(default_factory=dict[int, RouterProcess])

    @asynccontextmanager
    async def running(self, count: int) -> AsyncGenerator["RouterProcesses"]:
        supervisor = asyncio.create_task(self._restart_exited())
        try:
            await self.start(*range(1, count + 1))
            yield self
        finally:
            supervisor.cancel()
            for router in self._processes.values():
                _kill(router.process)
            self._ports.release()

    @property
    def numbers(self) -> list[int]:
        """The numbers of the routers that should be running."""
        return [number for number, router in self._processes.items() if router.should_run]

    @property
    def ports(self) -> list[int]:
        return [self._processes[number].port for number in self.numbers]

    @property
    def unexpected_exits(self) -> int:
        return sum(router.unexpected_exits for router in self._processes.values())

    async def start(self, *numbers: int) -> None:
        """Start these routers and wait until they are ready."""
        for number in numbers:
            self.launch(number)
        await self.wait_ready(*numbers)

    def launch(self, number: int, **environment: str) -> None:
        """Start one router without waiting until it is ready."""
        known = self._processes.get(number)
        port = known.port if known else self._ports.take()
        process = self._spawn(number, port, environment)
        if known:
            known.process, known.should_run, known.last_exit = process, True, None
        else:
            self._processes[number] = RouterProcess(port, process)

    async def wait_ready(self, *numbers: int, seconds: float = PATIENCE_S) -> None:
        """Wait until these routers, by default all that should run, are ready.

        Raises: AssertionError with the /ready answers of those that are not.
        """
        try:
            async with asyncio.timeout(seconds):
                for number in numbers or self.numbers:
                    while not await asyncio.to_thread(is_ready, self._processes[number].port):
                        await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            raise AssertionError("; ".join(self.not_ready())) from None

    def not_ready(self) -> list[str]:
        """The /ready answers of the routers that should run and are not ready."""
        count_log_lines = {number: ready_answer(self._processes[number].port) for number in self.numbers}
        return [f"router {number}: {words}" for number, (status, words) in count_log_lines.items() if status != 200]

    def kill(self, number: int) -> None:
        """kill -9; the supervisor restarts it."""
        _kill(self._processes[number].process)
        self._processes[number].unexpected_exits -= 1  # this exit is expected

    def remove(self, number: int) -> None:
        """kill -9 without a restart."""
        self._processes[number].should_run = False
        _kill(self._processes[number].process)

    async def stop_all(self) -> None:
        """Send SIGTERM to all of them at once and wait."""
        await asyncio.gather(*(self.stop(number) for number in self.numbers))

    async def stop(self, number: int) -> float:
        """Send SIGTERM and wait, without a restart. Gives the seconds that it took."""
        router, began = self._processes[number], asyncio.get_running_loop().time()
        router.should_run = False
        router.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(router.process.wait, PATIENCE_S)
        _kill(router.process)
        return asyncio.get_running_loop().time() - began

    def pause(self, number: int) -> None:
        """Send SIGSTOP: the process halts, its connections stay open."""
        self._processes[number].process.send_signal(signal.SIGSTOP)

    def resume(self, number: int) -> None:
        self._processes[number].process.send_signal(signal.SIGCONT)

    async def exit_code(self, number: int, *, seconds: float) -> int | None:
        """The exit code of a router that exits by itself; None if it still runs after this time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._processes[number].last_exit is None:
                    await asyncio.sleep(_LOOK_EVERY_S)
        return self._processes[number].last_exit

    def count_log_lines(self, number: int, word: str) -> int:
        """The number of times that the text occurs in its log."""
        return self._log(number).read_text(encoding="utf-8", errors="replace").count(word)

    def find_by_port(self, port: int) -> int | None:
        """The router that has a connection from this local port; None if none has."""
        for number, router in self._processes.items():
            with suppress(psutil.Error):
                if any(c.laddr and c.laddr.port == port for c in psutil.Process(router.process.pid).net_connections()):
                    return number
        return None

    def _spawn(self, number: int, port: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        own = {"PARVIS_ROUTER_PORT": str(port)}
        with self._log(number).open("ab") as log:
            return subprocess.Popen(
                self.command, env=dict(self.environment) | own | dict(environment), stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def _log(self, number: int) -> Path:
        return self.folder / f"router-{number}.log"

    async def _restart_exited(self) -> None:
        """Restart routers that exited, except with code 78 (misconfigured), which needs a person."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for number, router in list(self._processes.items()):
                exited = router.process
                if not router.should_run or exited.poll() is None:
                    continue
                router.unexpected_exits, router.last_exit = router.unexpected_exits + 1, exited.returncode
                if router.last_exit == MISCONFIGURED:
                    router.should_run = False
                    continue
                await asyncio.sleep(_AGAIN_AFTER_S)
                if router.should_run and router.process is exited:  # the scenario may have launched it meanwhile
                    router.process = self._spawn(number, router.port, {})


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill the process and its children with SIGKILL."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
