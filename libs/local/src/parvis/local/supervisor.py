"""Restarts processes that die, and stops the stack when one is misconfigured before the first readiness."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from parvis.common.contract.errors import EXIT_MISCONFIGURED, ParvisError
from parvis.local.process import ManagedProcess
from parvis.local.waiting import StartInterrupted

_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 10.0
_STABLE_AFTER_S = 20.0  # after this uptime the next restart has the first delay again
_CHECK_INTERVAL_S = 0.05
_CRASHING_AFTER_EXITS = 5  # some 15 s


@dataclass
class SupervisedProcess:
    """One process and its restarts."""

    name: str
    process: ManagedProcess
    start: Callable[[], None]
    is_wanted: bool = False
    exits_in_a_row: int = 0
    started_at_s: float = 0.0
    misconfiguration: str = ""  # the sentence last reported
    due_at_s: float | None = None  # instant of the next start
    lock: threading.RLock = field(default_factory=threading.RLock)


@dataclass(frozen=True)
class StackStopReason:
    """Why the stack has to stop."""

    name: str
    sentence: str


class Supervisor:
    """Starts, watches, restarts and stops processes. Thread-safe."""

    def __init__(self, *, report: Callable[[str], None], changed: Callable[[], None], failed: threading.Event) -> None:
        self._report = report
        self._changed = changed
        self.failed = failed
        self.failure: StackStopReason | None = None
        self.keeps_others_up = False  # after the first readiness a broken configuration of one concerns that one alone
        self._watched: dict[str, SupervisedProcess] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def add(self, process: ManagedProcess, *, start: Callable[[], None] | None = None) -> None:
        """Supervise a process. `start` replaces `process.start` if starting takes more steps."""
        self._watched[process.name] = SupervisedProcess(process.name, process, start or process.start)

    def names(self) -> list[str]:
        return list(self._watched)

    def crashing_process(self) -> str | None:
        """Name a process that has ended after each of several starts; None if there is none."""
        crashing = (
            supervised.name
            for supervised in self._watched.values()
            if supervised.exits_in_a_row >= _CRASHING_AFTER_EXITS
        )
        return next(crashing, None)

    def process(self, name: str) -> ManagedProcess:
        return self._watched[name].process

    def start(self, name: str) -> None:
        watched = self._watched[name]
        with watched.lock:
            if not watched.process.is_running:
                watched.start()
            watched.is_wanted, watched.due_at_s, watched.started_at_s = True, None, time.monotonic()
        self._changed()

    def kill(self, name: str, *, stays_down: bool = False) -> None:
        """Kill a process; unless it stays down, it is started again after the first delay."""
        watched = self._watched[name]
        with watched.lock:
            watched.is_wanted = watched.is_wanted and not stays_down
            watched.exits_in_a_row = 0
            watched.process.kill()

    def stop(self, name: str, *, patience_s: float = 10) -> None:
        """Stop a process; it stays down until `start`."""
        watched = self._watched[name]
        with watched.lock:
            watched.is_wanted = False
            watched.process.ask_to_stop()
            if not watched.process.wait(patience_s):
                self._report(f"{name} did not stop within {patience_s:.0f} s and was killed")
                watched.process.kill()

    def stop_all(self, names: Sequence[str], *, until_s: float) -> None:
        """Stop all at once; kill those that still run at `until_s` of the monotonic clock."""
        watched = [self._watched[name] for name in names if name in self._watched]
        for supervised in watched:
            with supervised.lock:
                supervised.is_wanted = False
                supervised.process.ask_to_stop()
        for supervised in watched:
            if not supervised.process.wait(max(0.0, until_s - time.monotonic())):
                self._report(f"{supervised.name} did not stop in time and was killed")
                supervised.process.kill()

    def close(self) -> None:
        """Stop watching."""
        for watched in self._watched.values():
            watched.is_wanted = False
        self._ending.set()
        self._thread.join(timeout=5)

    def _watch(self) -> None:
        while not self._ending.wait(_CHECK_INTERVAL_S):
            for watched in list(self._watched.values()):
                if watched.lock.acquire(blocking=False):
                    try:
                        self._check_process(watched)
                    finally:
                        watched.lock.release()

    def _check_process(self, watched: SupervisedProcess) -> None:
        if not watched.is_wanted or watched.process.is_running or self.failure:
            return
        if watched.due_at_s is None:
            self._schedule_restart(watched)
        elif time.monotonic() >= watched.due_at_s:
            self._restart(watched)

    def _schedule_restart(self, watched: SupervisedProcess) -> None:
        watched.process.wait(0)
        code = watched.process.exit_code
        if code == EXIT_MISCONFIGURED:
            self._note_misconfiguration(watched)
            return
        if time.monotonic() - watched.started_at_s > _STABLE_AFTER_S:
            watched.exits_in_a_row = 0
        delay_s = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2**watched.exits_in_a_row)
        watched.exits_in_a_row += 1
        watched.due_at_s = time.monotonic() + delay_s
        self._report(f"{watched.name} ended ({_describe_exit_code(code)}); restarting in {delay_s:g} s")

    def _note_misconfiguration(self, watched: SupervisedProcess) -> None:
        sentence = f"{watched.name} is misconfigured: {_misconfiguration_message(watched.process.tail())}"
        if not self.keeps_others_up:
            self._fail(watched, sentence)
            return
        if watched.misconfiguration != sentence:
            self._report(f"{sentence} The others stay up; {watched.name} is tried again every {_LONGEST_DELAY_S:g} s.")
        watched.misconfiguration = sentence
        watched.due_at_s = time.monotonic() + _LONGEST_DELAY_S

    def _restart(self, watched: SupervisedProcess) -> None:
        watched.due_at_s = None
        watched.started_at_s = time.monotonic()
        try:
            watched.start()
        except StartInterrupted:
            return
        except (ParvisError, OSError) as error:
            self._report(f"{watched.name} could not be restarted: {error}")
            return
        self._changed()

    def _fail(self, watched: SupervisedProcess, sentence: str) -> None:
        watched.is_wanted = False
        self.failure = StackStopReason(watched.name, sentence)
        self.failed.set()


def _describe_exit_code(code: int | None) -> str:
    if code is None:
        return "no exit code"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _misconfiguration_message(lines: list[str]) -> str:
    """Find the line `name: misconfigured: …`, else the last one."""
    with contextlib.suppress(IndexError):
        messages = [line for line in lines if "misconfigured:" in line] or [line for line in lines if line.strip()]
        return messages[-1].partition("misconfigured: ")[2] or messages[-1]
    return "no error message"
