"""Restarts processes that die, and stops the whole stack when one is misconfigured."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from parvis.common.contract.errors import EXIT_MISCONFIGURED, ParvisError
from parvis.local.process import ManagedProcess
from parvis.local.waiting import StackStopped

_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 10.0
_CALM_AFTER_S = 20.0  # a process that lived so long was well: its next death starts from the first delay again
_LOOK_EVERY_S = 0.05
_HOPELESS_AFTER_DEATHS = 5  # some 15 s


@dataclass
class SupervisedProcess:
    """One process and what it has been through."""

    name: str
    process: ManagedProcess
    start: Callable[[], None]
    is_wanted: bool = False
    deaths_in_a_row: int = 0
    started_at_s: float = 0.0
    due_at_s: float | None = None  # when it is to be started again
    lock: threading.RLock = field(default_factory=threading.RLock)


@dataclass(frozen=True)
class SupervisionFailure:
    """Why the whole stack has to end."""

    name: str
    sentence: str


class Supervisor:
    """Starts, watches, restarts and stops; safe to call from several threads."""

    def __init__(self, *, tell: Callable[[str], None], changed: Callable[[], None], failed: threading.Event) -> None:
        self._tell = tell
        self._changed = changed
        self.failed = failed
        self.failure: SupervisionFailure | None = None
        self._watched: dict[str, SupervisedProcess] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def add(self, process: ManagedProcess, *, start: Callable[[], None] | None = None) -> None:
        """Take a process into care; `start` where there is more to it than starting the process."""
        self._watched[process.name] = SupervisedProcess(process.name, process, start or process.start)

    def names(self) -> list[str]:
        return list(self._watched)

    def crashing_process(self) -> str | None:
        """Name a process that ends as often as it is started: waiting for it is in vain."""
        hopeless = (one.name for one in self._watched.values() if one.deaths_in_a_row >= _HOPELESS_AFTER_DEATHS)
        return next(hopeless, None)

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
        """End it as a power cut would; unless it is to stay down, it is started again after the first delay."""
        watched = self._watched[name]
        with watched.lock:
            watched.is_wanted = watched.is_wanted and not stays_down
            watched.deaths_in_a_row = 0
            watched.process.kill()

    def stop(self, name: str, *, patience_s: float = 10) -> None:
        """End it politely; it stays down until `start`."""
        watched = self._watched[name]
        with watched.lock:
            watched.is_wanted = False
            watched.process.ask_to_stop()
            if not watched.process.wait(patience_s):
                self._tell(f"{name} did not end within {patience_s:.0f} s: killed")
                watched.process.kill()

    def stop_all(self, names: Sequence[str], *, until_s: float) -> None:
        """Ask all at once, wait until the instant of the monotonic clock, kill the rest."""
        watched = [self._watched[name] for name in names if name in self._watched]
        for one in watched:
            with one.lock:
                one.is_wanted = False
                one.process.ask_to_stop()
        for one in watched:
            if not one.process.wait(max(0.0, until_s - time.monotonic())):
                self._tell(f"{one.name} did not end in time: killed")
                one.process.kill()

    def close(self) -> None:
        """Watch no longer."""
        for watched in self._watched.values():
            watched.is_wanted = False
        self._ending.set()
        self._thread.join(timeout=5)

    def _watch(self) -> None:
        while not self._ending.wait(_LOOK_EVERY_S):
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
            self._note_death(watched)
        elif time.monotonic() >= watched.due_at_s:
            self._start_again(watched)

    def _note_death(self, watched: SupervisedProcess) -> None:
        watched.process.wait(0)
        code = watched.process.exit_code
        if code == EXIT_MISCONFIGURED:
            self._fail(watched, f"{watched.name} is misconfigured: {_last_words(watched.process.tail())}")
            return
        if time.monotonic() - watched.started_at_s > _CALM_AFTER_S:
            watched.deaths_in_a_row = 0
        delay_s = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2**watched.deaths_in_a_row)
        watched.deaths_in_a_row += 1
        watched.due_at_s = time.monotonic() + delay_s
        self._tell(f"{watched.name} ended ({_describe_exit_code(code)}); starting it again in {delay_s:g} s")

    def _start_again(self, watched: SupervisedProcess) -> None:
        watched.due_at_s = None
        watched.started_at_s = time.monotonic()
        try:
            watched.start()
        except StackStopped:
            return
        except (ParvisError, OSError) as error:
            self._tell(f"{watched.name} could not be started again: {error}")
            return
        self._changed()

    def _fail(self, watched: SupervisedProcess, sentence: str) -> None:
        watched.is_wanted = False
        self.failure = SupervisionFailure(watched.name, sentence)
        self.failed.set()


def _describe_exit_code(code: int | None) -> str:
    if code is None:
        return "no exit code"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _last_words(lines: list[str]) -> str:
    """The line that says what is wrong; services write it last, as `name: misconfigured: …`."""
    with contextlib.suppress(IndexError):
        said = [line for line in lines if "misconfigured:" in line] or [line for line in lines if line.strip()]
        return said[-1].partition("misconfigured: ")[2] or said[-1]
    return "it gave no reason"
