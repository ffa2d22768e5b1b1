"""Facts about `parvis up` and `parvis doctor`, as a person at a terminal has them."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from parvis.local import host_environment
from parvis.local.fakes_for_tests import FakeServices
from parvis.local.process_registry import is_running
from parvis.local.readiness import is_ready
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.stack


def start_up(
    var: Path, fakes: FakeServices, *arguments: str, deaf: bool = False, variables: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    ours = {"PARVIS_VAR": str(var), "PARVIS_PORTS": "free", **(variables or {})}
    return subprocess.Popen(
        [*host_environment.parvis_command(), "up", *arguments],
        env={**host_environment.neutral_environment(), **fakes.environment, **ours},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_go_deaf if deaf else None,  # noqa: PLW1509 (the only way to inherit a signal that is ignored)
    )


def _go_deaf() -> None:
    """What a shell does to a job that it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize(("number", "deaf"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_up_says_ready_on_a_line_of_its_own_and_ends_when_it_is_asked_to(
    number: signal.Signals, deaf: bool, fakes: FakeServices, open_folder: Path
):
    fakes.add("fake-one")
    up = start_up(open_folder / "var", fakes, "--only", "fake-one", deaf=deaf)
    lines: list[str] = []
    assert up.stdout
    for line in up.stdout:
        lines.append(line)
        if line == "ready\n":
            break
    described = json.loads((open_folder / "var" / "up.json").read_text())
    assert is_ready(described["services"]["fake-one"]["port"])
    assert any(line.startswith("fake-one") and line.endswith("| fake-one started\n") for line in lines)
    service, children = (
        psutil.Process(described["services"]["fake-one"]["pid"]),
        psutil.Process(up.pid).children(recursive=True),
    )
    assert service in children
    up.send_signal(number)
    rest, error = up.communicate(timeout=PATIENCE_S)
    assert up.returncode == 0, error
    assert "fake-one drained" in rest
    assert not any(map(is_running, children))


def test_a_misconfigured_service_is_exit_78_and_its_sentence(fakes: FakeServices, open_folder: Path):
    fakes.add(
        "wrong", before="print('wrong: misconfigured: PARVIS_WRONG_NUMBER is not set', file=sys.stderr); sys.exit(78)"
    )
    up = start_up(open_folder / "var", fakes, "--only", "wrong")
    _, error = up.communicate(timeout=PATIENCE_S)
    assert up.returncode == 78
    assert "PARVIS_WRONG_NUMBER is not set" in error
    assert "Traceback" not in error


def test_a_taken_port_is_one_sentence_and_no_traceback(fakes: FakeServices, tmp_path: Path):
    fakes.add("fake-one")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        variables = {**_elsewhere(), "PARVIS_PORTS": "fixed", "PARVIS_FAKE_ONE_PORT": port}
        up = start_up(tmp_path / "var", fakes, "--only", "fake-one", variables=variables)
        _, error = up.communicate(timeout=PATIENCE_S)
    assert up.returncode not in (0, None)
    assert f"port {port} (fake-one) is in use by" in error
    assert str(os.getpid()) in error
    assert "Traceback" not in error


def test_a_service_that_does_not_exist_is_named(fakes: FakeServices, tmp_path: Path):
    up = start_up(tmp_path / "var", fakes, "--only", "ingest-fax")
    _, error = up.communicate(timeout=PATIENCE_S)
    assert up.returncode == 78
    assert "unknown service: ingest-fax" in error


def test_a_folder_that_cannot_be_written_to_is_a_sentence(fakes: FakeServices, tmp_path: Path):
    (tmp_path / "file").touch()
    up = start_up(tmp_path / "file" / "var", fakes, "--only", variables=_elsewhere())
    _, error = up.communicate(timeout=PATIENCE_S)
    assert up.returncode == 1
    assert "PARVIS_VAR" in error
    assert "Traceback" not in error


def test_no_network_at_the_first_start_is_a_sentence(fakes: FakeServices, tmp_path: Path):
    settings = tmp_path / "jgo.conf"
    settings.write_text("[repositories]\nmirror = http://127.0.0.1:1/maven\n")
    database = {"PARVIS_DATABASE_URL": "postgresql+asyncpg://127.0.0.1:1/none"}
    variables = {**database, "PARVIS_CACHE": str(tmp_path / "cache"), "JGO_CONFIG_FILE": str(settings)}
    up = start_up(tmp_path / "var", fakes, "--only", variables=variables)
    _, error = up.communicate(timeout=PATIENCE_S)
    assert up.returncode == 1
    assert "the Maven repository does not answer" in error
    assert len(error.strip().splitlines()) == 1


def test_doctor_says_what_it_found_and_exits_with_it(tmp_path: Path):
    environment = {**host_environment.neutral_environment(), "PARVIS_VAR": str(tmp_path), "PARVIS_PORTS": "any"}
    command = [*host_environment.parvis_command(), "doctor"]
    asked = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert asked.returncode == 1
    assert "ok    Python: " in asked.stdout
    assert "FAIL  ports: PARVIS_PORTS must be `fixed` or `free`, got 'any'" in asked.stdout


def _elsewhere() -> dict[str, str]:
    """Brokers of somebody else's, which the commands before the services would miss: those are left out too."""
    return {"PARVIS_KAFKA_BOOTSTRAP": "127.0.0.1:1", "PARVIS_DATABASE_URL": "postgresql+asyncpg://127.0.0.1:1/none"}
