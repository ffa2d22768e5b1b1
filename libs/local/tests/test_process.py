"""Facts about one process and its ledger."""

import os
import signal
import sys
from pathlib import Path

import psutil

from parvis.local import host_environment
from parvis.local.process import ManagedProcess
from parvis.local.process_registry import ProcessRegistry, RegisteredProcess, is_running
from parvis.local.waiting import wait_until
from tests.patience import PATIENCE_S

SLEEPS = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"
WITH_WORKER = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True).pid, flush=True); {SLEEPS}"


def a_process(ledger: ProcessRegistry, tmp_path: Path, code: str, **options: object) -> ManagedProcess:
    made = ManagedProcess(
        name="fake",
        command=[sys.executable, "-c", code],
        ledger=ledger,
        log=tmp_path / "fake.log",
        environment=host_environment.current_environment(),
    )
    for name, value in options.items():
        setattr(made, name, value)
    return made


def test_its_lines_are_shown_and_its_last_words_kept(ledger: ProcessRegistry, tmp_path: Path):
    shown: list[str] = []
    process = a_process(
        ledger, tmp_path, "import sys; print('é 1'); print('2', file=sys.stderr); sys.exit(3)", show=shown.append
    )
    process.start()
    assert process.wait(20)
    assert process.exit_code == 3
    assert sorted(shown) == ["2", "é 1"]
    assert sorted(process.tail()) == ["2", "é 1"]


def test_without_a_reader_its_lines_go_to_a_file(ledger: ProcessRegistry, tmp_path: Path):
    process = a_process(ledger, tmp_path, "print('noted')")
    process.start()
    assert process.wait(20)
    assert process.tail() == ["noted"]
    assert (tmp_path / "fake.log").read_text() == "noted\n"


def test_a_process_that_will_not_end_is_killed(ledger: ProcessRegistry, tmp_path: Path):
    process = a_process(ledger, tmp_path, STUBBORN)
    process.start()
    assert wait_until(lambda: process.tail() == ["up"], seconds=PATIENCE_S)
    process.stop(patience_s=0.2)
    assert process.exit_code == -signal.SIGKILL


def test_a_paused_process_can_still_be_stopped(ledger: ProcessRegistry, tmp_path: Path):
    process = a_process(ledger, tmp_path, SLEEPS)
    process.start()
    process.signal(signal.SIGSTOP)
    process.stop(patience_s=20)
    assert process.exit_code == -signal.SIGTERM


def test_a_kill_takes_workers_with_it_that_have_sessions_of_their_own(ledger: ProcessRegistry, tmp_path: Path):
    process = a_process(ledger, tmp_path, WITH_WORKER)
    process.start()
    assert wait_until(lambda: len(process.tail()) == 2, seconds=PATIENCE_S)
    worker = psutil.Process(int(process.tail()[0]))
    process.kill()
    assert not is_running(worker)


def test_a_sweep_ends_what_is_left_and_what_that_had_started(ledger: ProcessRegistry, tmp_path: Path):
    process = a_process(ledger, tmp_path, WITH_WORKER)
    process.start()
    assert wait_until(lambda: len(process.tail()) == 2, seconds=PATIENCE_S)
    worker = psutil.Process(int(process.tail()[0]))
    assert ProcessRegistry(ledger.file).end_leftovers() == ["fake"]
    assert process.wait(20)
    assert not is_running(worker)
    assert ledger.entries() == []


def test_a_worker_whose_parent_has_gone_is_found_by_its_mark(ledger: ProcessRegistry, tmp_path: Path):
    process = a_process(ledger, tmp_path, WITH_WORKER)
    process.start()
    assert wait_until(lambda: len(process.tail()) == 2, seconds=PATIENCE_S)
    worker = psutil.Process(int(process.tail()[0]))
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(20)
    ledger.end_leftovers()
    assert not is_running(worker)


def test_a_pid_that_was_given_to_somebody_else_is_left_alone(ledger: ProcessRegistry, tmp_path: Path):
    stranger = a_process(ProcessRegistry(tmp_path / "elsewhere"), tmp_path, SLEEPS)
    stranger.start()
    ledger.file.write_text(f'{{"name": "old", "pid": {stranger.pid}, "started_at_s": 1.0}}\nhalf a li')
    assert ledger.entries() == [RegisteredProcess("old", stranger.pid, 1.0)]
    assert ledger.end_leftovers() == []
    assert stranger.is_running
    stranger.kill()
