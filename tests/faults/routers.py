"""Several routers beside one stack, each with a number: started, killed, paused and stopped one by one, and started again when they die."""

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
class One:
    """One router. `deaths`: how often it ended although nobody asked for it."""

    port: int
    process: subprocess.Popen[bytes]
    is_wanted: bool = True
    deaths: int = 0
    last_exit: int | None = None


@dataclass
class Routers:
    """What Kubernetes does with a deployment of routers, on this machine."""

    environment: Mapping[str, str]
    folder: Path
    command: tuple[str, ...] = (sys.executable, "-m", "parvis.router")
    _ports: FreePorts = field(default_factory=FreePorts)
    _all: dict[int, One] = field(default_factory=dict[int, One])

    @asynccontextmanager
    async def running(self, count: int) -> AsyncGenerator["Routers"]:
        keeper = asyncio.create_task(self._keep())
        try:
            await self.start(*range(1, count + 1))
            yield self
        finally:
            keeper.cancel()
            for one in self._all.values():
                _kill(one.process)
            self._ports.release()

    @property
    def numbers(self) -> list[int]:
        """Those that should be running."""
        return [number for number, one in self._all.items() if one.is_wanted]

    @property
    def ports(self) -> list[int]:
        return [self._all[number].port for number in self.numbers]

    @property
    def deaths(self) -> int:
        return sum(one.deaths for one in self._all.values())

    async def start(self, *numbers: int) -> None:
        """Start them and wait until all are ready."""
        for number in numbers:
            self.launch(number)
        await self.ready(*numbers)

    def launch(self, number: int, **environment: str) -> None:
        """Start one; it is not waited for."""
        known = self._all.get(number)
        port = known.port if known else self._ports.take()
        process = self._spawn(number, port, environment)
        if known:
            known.process, known.is_wanted = process, True
        else:
            self._all[number] = One(port, process)

    async def ready(self, *numbers: int, seconds: float = PATIENCE_S) -> None:
        """Wait until these, or all that should run, say so.

        Raises: AssertionError, with what the last of them says of itself.
        """
        try:
            async with asyncio.timeout(seconds):
                for number in numbers or self.numbers:
                    while not await asyncio.to_thread(is_ready, self._all[number].port):
                        await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            raise AssertionError("; ".join(self.standing())) from None

    def standing(self) -> list[str]:
        """What each that should run says of itself, where it is not ready."""
        said = {number: ready_answer(self._all[number].port) for number in self.numbers}
        return [f"router {number}: {words}" for number, (status, words) in said.items() if status != 200]

    def kill(self, number: int) -> None:
        """kill -9; it comes back by itself."""
        _kill(self._all[number].process)
        self._all[number].deaths -= 1  # this one was asked for

    def remove(self, number: int) -> None:
        """kill -9, and it stays away."""
        self._all[number].is_wanted = False
        _kill(self._all[number].process)

    async def stop_all(self) -> None:
        """SIGTERM to all of them at once."""
        await asyncio.gather(*(self.stop(number) for number in self.numbers))

    async def stop(self, number: int) -> float:
        """SIGTERM; the seconds it took. It stays away."""
        one, began = self._all[number], asyncio.get_running_loop().time()
        one.is_wanted = False
        one.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(one.process.wait, PATIENCE_S)
        _kill(one.process)
        return asyncio.get_running_loop().time() - began

    def pause(self, number: int) -> None:
        """SIGSTOP: it stands still, its connections stay open."""
        self._all[number].process.send_signal(signal.SIGSTOP)

    def resume(self, number: int) -> None:
        self._all[number].process.send_signal(signal.SIGCONT)

    async def exit_code(self, number: int, *, seconds: float) -> int | None:
        """How it ended by itself; None when it still runs after that time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._all[number].last_exit is None:
                    await asyncio.sleep(_LOOK_EVERY_S)
        return self._all[number].last_exit

    def said(self, number: int, word: str) -> int:
        """How many lines of its log hold the word."""
        return self._log(number).read_text(encoding="utf-8", errors="replace").count(word)

    def with_port(self, port: int) -> int | None:
        """Which of them has a connection from this port of the loopback."""
        for number, one in self._all.items():
            with suppress(psutil.Error):
                if any(c.laddr and c.laddr.port == port for c in psutil.Process(one.process.pid).net_connections()):
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

    async def _keep(self) -> None:
        """Start what died, unless it says that it is misconfigured: a supervisor would wait for a person."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for number, one in self._all.items():
                if not one.is_wanted or one.process.poll() is None:
                    continue
                one.deaths, one.last_exit = one.deaths + 1, one.process.returncode
                if one.last_exit == MISCONFIGURED:
                    one.is_wanted = False
                    continue
                await asyncio.sleep(_AGAIN_AFTER_S)
                if one.is_wanted:
                    one.process = self._spawn(number, one.port, {})


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """It and what it started, as a power cut would."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
