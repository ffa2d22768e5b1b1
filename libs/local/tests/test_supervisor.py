"""Facts about keeping processes alive."""

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from parvis.local import host_environment
from parvis.local.process import ManagedProcess
from parvis.local.process_registry import ProcessRegistry
from parvis.local.supervisor import Supervisor
from parvis.local.waiting import wait_until
from tests.patience import PATIENCE_S

Make = Callable[[str], ManagedProcess]


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def supervisor(told: list[str]) -> Iterator[Supervisor]:
    made = Supervisor(report=told.append, changed=lambda: None, failed=threading.Event())
    yield made
    made.stop_all(made.names(), until_s=0)
    made.close()


@pytest.fixture
def make(ledger: ProcessRegistry, tmp_path: Path) -> Make:
    def make(code: str) -> ManagedProcess:
        command = [sys.executable, "-c", code]
        return ManagedProcess(
            name="fake",
            command=command,
            ledger=ledger,
            log=tmp_path / "log",
            environment=host_environment.current_environment(),
        )

    return make


def test_what_dies_is_started_again_and_the_delay_doubles(supervisor: Supervisor, told: list[str], make: Make):
    supervisor.add(make("raise SystemExit(3)"))
    supervisor.start("fake")
    assert wait_until(lambda: len(told) >= 3, seconds=PATIENCE_S)
    assert told[:3] == [f"fake ended (exit code 3); restarting in {delay} s" for delay in ("0.5", "1", "2")]


def test_a_signal_is_named(supervisor: Supervisor, told: list[str], make: Make):
    supervisor.add(make("import os; os.kill(os.getpid(), 9)"))
    supervisor.start("fake")
    assert wait_until(lambda: bool(told), seconds=PATIENCE_S)
    assert told[0].startswith("fake ended (signal 9)")


def test_what_is_misconfigured_is_not_started_again(supervisor: Supervisor, told: list[str], make: Make):
    supervisor.add(make("print('fake: misconfigured: no such rule'); raise SystemExit(78)"))
    supervisor.start("fake")
    assert supervisor.failed.wait(30)
    assert supervisor.failure
    assert supervisor.failure.sentence == "fake is misconfigured: no such rule"
    assert told == []


def test_what_cannot_live_is_known_as_such(supervisor: Supervisor, make: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("parvis.local.supervisor._FIRST_DELAY_S", 0.01)
    supervisor.add(make("raise SystemExit(1)"))
    supervisor.start("fake")
    assert wait_until(lambda: supervisor.crashing_process() == "fake", seconds=PATIENCE_S)


def test_a_start_that_fails_is_tried_again(supervisor: Supervisor, told: list[str], make: Make):
    process = make("import time; time.sleep(600)")
    tries: list[int] = []

    def start() -> None:
        tries.append(1)
        if len(tries) == 2:
            raise OSError(28, "No space left on device")
        process.start()

    supervisor.add(process, start=start)
    supervisor.start("fake")
    supervisor.kill("fake")
    assert wait_until(lambda: len(tries) >= 3 and process.is_running, seconds=PATIENCE_S)
    assert "fake could not be restarted: [Errno 28] No space left on device" in told


def test_after_the_first_readiness_a_broken_configuration_leaves_the_others_up(
    supervisor: Supervisor, told: list[str], make: Make
):
    supervisor.keeps_others_up = True
    supervisor.add(make("import sys; print('fake: misconfigured: town.yaml is gone.'); sys.exit(78)"))
    supervisor.start("fake")

    assert wait_until(lambda: bool(told), seconds=PATIENCE_S)
    assert told[0].startswith("fake is misconfigured: town.yaml is gone. The others stay up")
    assert supervisor.failure is None
    assert not supervisor.failed.is_set()
