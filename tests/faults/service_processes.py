"""Runs numbered processes of a service beside a stack: starts, kills, pauses and stops them, and restarts those that exit."""

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
class ServiceProcess:
    """One process. `unexpected_exits` counts the exits that the scenario did not cause."""

    port: int
    process: subprocess.Popen[bytes]
    should_run: bool = True
    unexpected_exits: int = 0
    last_exit: int | None = None


@dataclass
class ServiceProcesses:
    """Supervises a service's processes on this machine as Kubernetes supervises a Deployment."""

    environment: Mapping[str, str]
    folder: Path
    service: str = "router"
    command: tuple[str, ...] = ()  # by default the service's own
    _ports: FreePorts = field(default_factory=FreePorts)
    _processes: dict[int, ServiceProcess] = field(default_factory=dict[int, ServiceProcess])

    @asynccontextmanager
    async def running(self, count: int) -> AsyncGenerator["ServiceProcesses"]:
        supervisor = asyncio.create_task(self._restart_exited())
        try:
            await self.start(*range(1, count + 1))
            yield self
        finally:
            supervisor.cancel()
            for one in self._processes.values():
                _kill(one.process)
            self._ports.release()

    @property
    def numbers(self) -> list[int]:
        """The numbers of the processes that should be running."""
        return [number for number, one in self._processes.items() if one.should_run]

    @property
    def ports(self) -> list[int]:
        return [self._processes[number].port for number in self.numbers]

    @property
    def unexpected_exits(self) -> int:
        return sum(one.unexpected_exits for one in self._processes.values())

    async def start(self, *numbers: int) -> None:
        """Start these processes and wait until they are ready."""
        for number in numbers:
            self.launch(number)
        await self.wait_ready(*numbers)

    def launch(self, number: int, **environment: str) -> None:
        """Start one process without waiting until it is ready."""
        known = self._processes.get(number)
        port = known.port if known else self._ports.take()
        process = self._spawn(number, port, environment)
        if known:
            known.process, known.should_run, known.last_exit = process, True, None
        else:
            self._processes[number] = ServiceProcess(port, process)

    async def wait_ready(self, *numbers: int, seconds: float = PATIENCE_S) -> None:
        """Wait until these processes, by default all that should run, are ready.

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
        """The /ready answers of the processes that should run and are not ready."""
        count_log_lines = {number: ready_answer(self._processes[number].port) for number in self.numbers}
        return [
            f"{self.service} {number}: {words}" for number, (status, words) in count_log_lines.items() if status != 200
        ]

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
        one, began = self._processes[number], asyncio.get_running_loop().time()
        one.should_run = False
        one.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(one.process.wait, PATIENCE_S)
        _kill(one.process)
        return asyncio.get_running_loop().time() - began

    def pause(self, number: int) -> None:
        """Send SIGSTOP: the process halts, its connections stay open."""
        self._processes[number].process.send_signal(signal.SIGSTOP)

    def resume(self, number: int) -> None:
        self._processes[number].process.send_signal(signal.SIGCONT)

    async def exit_code(self, number: int, *, seconds: float) -> int | None:
        """The exit code of a process that exits by itself; None if it still runs after this time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._processes[number].last_exit is None:
                    await asyncio.sleep(_LOOK_EVERY_S)
        return self._processes[number].last_exit

    def count_log_lines(self, number: int, word: str) -> int:
        """The number of times that the text occurs in its log."""
        return self._log(number).read_text(encoding="utf-8", errors="replace").count(word)

    def find_by_port(self, port: int) -> int | None:
        """The process that has a connection from this local port; None if none has."""
        for number, one in self._processes.items():
            with suppress(psutil.Error):
                if any(c.laddr and c.laddr.port == port for c in psutil.Process(one.process.pid).net_connections()):
                    return number
        return None

    def _spawn(self, number: int, port: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        own = {f"PARVIS_{self.service.upper()}_PORT": str(port)}
        command = self.command or (sys.executable, "-m", f"parvis.{self.service}")
        with self._log(number).open("ab") as log:
            return subprocess.Popen(
                command, env=dict(self.environment) | own | dict(environment), stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def _log(self, number: int) -> Path:
        return self.folder / f"{self.service}-{number}.log"

    async def _restart_exited(self) -> None:
        """Restart processes that exited, except with code 78 (misconfigured), which needs a person."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for number, one in list(self._processes.items()):
                exited = one.process
                if not one.should_run or exited.poll() is None:
                    continue
                one.unexpected_exits, one.last_exit = one.unexpected_exits + 1, exited.returncode
                if one.last_exit == MISCONFIGURED:
                    one.should_run = False
                    continue
                await asyncio.sleep(_AGAIN_AFTER_S)
                if one.should_run and one.process is exited:  # the scenario may have launched it meanwhile
                    one.process = self._spawn(number, one.port, {})


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill the process and its children with SIGKILL."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
