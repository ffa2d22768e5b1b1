"""Facts about the whole stack, with stand-ins for the services: the API that faults, benches and the demo live on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.local import stack as stack_module
from parvis.local.fakes_for_tests import FakeServices
from parvis.local.kafka.handshake import is_answering
from parvis.local.process_registry import ProcessRegistry, is_running
from parvis.local.readiness import is_ready
from parvis.local.stack import Stack
from parvis.local.waiting import wait_until
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.stack
# These need no brokers: what is outside is not started.
ELSEWHERE = {"PARVIS_KAFKA_BOOTSTRAP": "127.0.0.1:1", "PARVIS_DATABASE_URL": "postgresql+asyncpg://127.0.0.1:1/none"}


@pytest.fixture
def stack(fakes: FakeServices, tmp_path: Path) -> Iterator[Stack]:
    fakes.add("fake-one")
    fakes.add("fake-two")
    with Stack.start(
        tmp_path / "var", services=fakes.names, prepare=False, environment={**ELSEWHERE, **fakes.environment}
    ) as started:
        yield started


def test_the_up_file_says_where_everything_is(stack: Stack):
    up = json.loads((stack.plan.var / "up.json").read_text())
    assert up["kafka"] == stack.kafka
    assert up["supervisor"] == {"pid": os.getpid()}
    assert up["database"] == stack.database_url
    assert up["services"]["fake-one"] == {"pid": stack.pid("fake-one"), "port": stack.port("fake-one")}
    assert (stack.plan.var / "up.json").stat().st_mode & 0o777 == 0o600
    assert stack.url("fake-two").endswith(str(up["services"]["fake-two"]["port"]))


def test_nothing_below_var_can_be_read_by_others(stack: Stack):
    for path in stack.plan.var.rglob("*"):
        if any(
            parent.is_dir() and not parent.stat().st_mode & 0o077
            for parent in path.parents[: -len(stack.plan.var.parts)]
        ):
            continue  # nobody else comes so far
        assert path.stat().st_mode & 0o066 == 0, path
    assert stack.plan.var.stat().st_mode & 0o066 == 0


def test_what_is_killed_comes_back_with_another_pid(stack: Stack):
    before = stack.pid("fake-one")
    stack.kill("fake-one")
    assert not is_ready(stack.port("fake-one"))
    stack.wait_ready("fake-one")
    assert stack.pid("fake-one") != before
    file = stack.plan.var / "up.json"
    assert wait_until(
        lambda: json.loads(file.read_text())["services"]["fake-one"]["pid"] == stack.pid("fake-one"), seconds=PATIENCE_S
    )


def test_what_is_to_stay_down_stays_down_until_it_is_started_again(stack: Stack):
    stack.kill("fake-one", stays_down=True)
    stack.stop_process("fake-two")
    assert not wait_until(lambda: is_ready(stack.port("fake-one")), seconds=1.2)
    assert "fake-two drained" in stack.log("fake-two").read_text()
    stack.start_again("fake-one")
    stack.start_again("fake-two")
    assert is_ready(stack.port("fake-one"))


def test_a_paused_process_answers_again_when_it_is_resumed(stack: Stack):
    stack.pause("fake-one")
    with pytest.raises(Unavailable, match=r"fake-one is not ready after 0 s"):
        stack.wait_ready("fake-one", seconds=0.1)
    stack.resume("fake-one")
    stack.wait_ready("fake-one")


def test_a_restart_takes_one_call(stack: Stack):
    before = stack.pid("fake-two")
    stack.kill("fake-two", stays_down=True)
    stack.start_again("fake-two")
    assert stack.pid("fake-two") != before


def test_a_second_stack_in_the_same_folder_is_refused_with_the_first_ones_pid(stack: Stack):
    with (
        pytest.raises(Misconfigured, match=rf"already running in .*\(pid {os.getpid()}\)"),
        Stack.start(stack.plan.var, services=[]),
    ):
        pass
    assert is_ready(stack.port("fake-one"))


def test_all_end_in_the_time_they_have_also_the_stubborn(
    fakes: FakeServices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert stack_module.ALL_END_WITHIN_S < 10
    monkeypatch.setattr(stack_module, "SERVICES_END_WITHIN_S", 1.0)
    fakes.add("polite")
    fakes.add("stubborn", before="signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    environment = {**ELSEWHERE, **fakes.environment}
    with Stack.start(tmp_path / "var", services=fakes.names, prepare=False, environment=environment) as stack:
        processes = [psutil.Process(stack.pid(name)) for name in fakes.names]
        polite, stubborn = stack.supervisor.process("polite"), stack.supervisor.process("stubborn")
    assert (polite.exit_code, stubborn.exit_code) == (0, -signal.SIGKILL)
    assert not any(map(is_running, processes))
    assert not (tmp_path / "var" / "up.json").exists()


def test_a_misconfigured_service_ends_all_with_its_own_words(fakes: FakeServices, tmp_path: Path):
    fakes.add("fine")
    fakes.add(
        "wrong", before="print('wrong: misconfigured: rules.yaml:3: no such department', file=sys.stderr); sys.exit(78)"
    )
    with (
        pytest.raises(Misconfigured, match=r"wrong is misconfigured: rules\.yaml:3: no such department"),
        Stack.start(
            tmp_path / "var", services=fakes.names, prepare=False, environment={**ELSEWHERE, **fakes.environment}
        ),
    ):
        pass
    assert ProcessRegistry(tmp_path / "var" / "processes.jsonl").entries() == []


def test_kafka_and_postgres_go_down_and_come_back(brokers: Stack):
    port = brokers.port("kafka")
    brokers.kill("kafka", stays_down=True)
    assert not is_answering(port)
    brokers.start_again("kafka")
    assert is_answering(port)
    brokers.kill("postgres", stays_down=True)
    brokers.start_again("postgres")
    assert brokers.new_database("again").endswith("/again")
    brokers.drop_database("again")


def test_a_killed_supervisor_leaves_nothing_behind(fakes: FakeServices, tmp_path: Path):
    supervisor, pids = _start_elsewhere(fakes, tmp_path)
    supervisor.kill()
    supervisor.wait()
    assert wait_until(lambda: not any(map(is_running, pids)), seconds=PATIENCE_S)
    assert not (tmp_path / "var" / "up.json").exists()


def test_what_a_killed_supervisor_and_a_killed_keeper_left_is_ended_by_the_next_start(
    fakes: FakeServices, tmp_path: Path
):
    supervisor, processes = _start_elsewhere(fakes, tmp_path)
    for child in psutil.Process(supervisor.pid).children():
        if "parvis.local.watchdog" in child.cmdline():
            child.kill()
    supervisor.kill()
    supervisor.wait()
    assert all(map(is_running, processes))
    left = json.loads((tmp_path / "var" / "up.json").read_text())
    assert not psutil.pid_exists(left["supervisor"]["pid"])
    with Stack.start(tmp_path / "var", services=[], environment=ELSEWHERE):
        assert not any(map(is_running, processes))


def _start_elsewhere(fakes: FakeServices, tmp_path: Path) -> tuple["subprocess.Popen[bytes]", list[psutil.Process]]:
    """A stack in another process, which can be killed."""
    fakes.add("fake-one")
    var = tmp_path / "var"
    code = f"""
import time
from pathlib import Path
from parvis.local.stack import Stack
environment = { ({**ELSEWHERE, **fakes.environment})!r}
with Stack.start(Path({str(var)!r}), services=["fake-one"], prepare=False, environment=environment):
    time.sleep(600)
"""
    supervisor = subprocess.Popen([sys.executable, "-c", code])
    assert wait_until((var / "up.json").exists, seconds=PATIENCE_S)
    pids = [entry["pid"] for entry in json.loads((var / "up.json").read_text())["services"].values()]
    return supervisor, [psutil.Process(pid) for pid in pids]
