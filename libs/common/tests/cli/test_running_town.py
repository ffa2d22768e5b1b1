"""Facts about operators' commands beside a running town: whose settings they take."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from parvis.common.cli.running_town import use_running_town
from parvis.common.contract.errors import Misconfigured

SETTINGS = {"PARVIS_DATABASE_URL": "postgresql+asyncpg://town@127.0.0.1/parvis", "PARVIS_SECRET_KEY": "of the town"}


@pytest.fixture
def var(tmp_path: Path) -> Path:
    _write(tmp_path, {"supervisor": {"pid": os.getpid()}, "settings": SETTINGS})
    return tmp_path


def _write(var: Path, contents: object) -> None:
    (var / "up.json").write_text(json.dumps(contents))
    (var / "up.json").chmod(0o600)


def test_a_command_finds_the_settings_of_the_town_that_runs(var: Path):
    environment = {"PARVIS_VAR": str(var)}

    use_running_town(environment)

    assert environment == {"PARVIS_VAR": str(var)} | SETTINGS


def test_a_command_for_another_town_is_left_alone(var: Path):
    environment = {"PARVIS_VAR": str(var), "PARVIS_KAFKA_BOOTSTRAP": "kafka.example:9092"}

    use_running_town(environment)

    assert environment == {"PARVIS_VAR": str(var), "PARVIS_KAFKA_BOOTSTRAP": "kafka.example:9092"}


def test_without_a_running_town_nothing_is_added(tmp_path: Path):
    environment = {"PARVIS_VAR": str(tmp_path)}

    use_running_town(environment)

    assert environment == {"PARVIS_VAR": str(tmp_path)}


def test_a_file_that_others_may_write_to_is_not_believed(var: Path):
    (var / "up.json").chmod(0o666)
    environment = {"PARVIS_VAR": str(var)}

    use_running_town(environment)

    assert environment == {"PARVIS_VAR": str(var)}


def test_a_damaged_file_is_a_sentence(var: Path):
    (var / "up.json").write_text("{")

    with pytest.raises(Misconfigured, match=r"up\.json"):
        use_running_town({"PARVIS_VAR": str(var)})


def test_a_file_that_a_killed_town_left_is_not_believed(tmp_path: Path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    _write(tmp_path, {"supervisor": {"pid": ended.pid}, "settings": SETTINGS})
    environment = {"PARVIS_VAR": str(tmp_path)}

    use_running_town(environment)

    assert environment == {"PARVIS_VAR": str(tmp_path)}
