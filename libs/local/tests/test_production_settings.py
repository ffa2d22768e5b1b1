"""Tests what a production town must say for itself, and that the unit and its example say so."""

import configparser
import socket
from pathlib import Path

import pytest

from parvis.common.contract.errors import Misconfigured
from parvis.local import service_manager, stack_plan
from parvis.local.production_settings import check_production
from parvis.local.secrets import LocalSecrets, generate_secrets

SYSTEMD = Path(__file__).parents[3] / "deploy" / "systemd"
ROWS = (SYSTEMD / "parvis.env.example").read_text(encoding="utf-8").splitlines()
EXAMPLE = {
    name: value or "filled-in" for name, _, value in (row.partition("=") for row in ROWS if row and row[0] != "#")
}


def test_the_filled_in_example_is_a_production_town() -> None:
    check_production(EXAMPLE)


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(Misconfigured) as raised:
        check_production({})
    assert [name for name in EXAMPLE if name not in str(raised.value)] == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"PARVIS_DESK_LOGIN": "development"}, "anybody act as any agent"),
        ({"PARVIS_PUBLIC_URL": "http://town.example"}, "PARVIS_PUBLIC_URL must begin with https://"),
        ({"PARVIS_DESK_API_TOKEN": "x" * 32}, "parvis desk program add"),
    ],
)
def test_what_is_open_to_anybody_is_refused(changed: dict[str, str], said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        check_production(EXAMPLE | changed)


def test_nothing_of_the_simulated_world_is_in_a_production_towns_settings(tmp_path: Path) -> None:
    plan = stack_plan.plan_stack(
        var=tmp_path,
        services=["ingest-sms", "notifier", "desk"],
        given_environment=EXAMPLE,
        secrets=LocalSecrets(**generate_secrets()),
        free_port=None,
        outside=False,
        config_dir=tmp_path / "example-town",
        production=True,
    )
    added = plan.environment.keys() - EXAMPLE.keys()
    assert not [name for name in added if "OUTSIDE" in name or "TWILIO" in name or "SMTP_" in name or "TOKEN" in name]
    assert plan.environment["PARVIS_CONFIG_DIR"] == EXAMPLE["PARVIS_CONFIG_DIR"]


@pytest.mark.parametrize("unit", ["parvis.service", "parvis-backup.service", "parvis-backup.timer"])
def test_a_unit_runs_as_an_ordinary_user_and_waits_for_the_town(unit: str) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # pyright: ignore[reportAttributeAccessIssue] (as its documentation says)
    parser.read(SYSTEMD / unit, encoding="utf-8")
    if unit.endswith(".timer"):
        assert parser["Timer"]["OnCalendar"]
        return
    assert parser["Service"]["User"] == "parvis"
    assert parser["Service"]["NoNewPrivileges"] == "true"
    assert parser["Service"]["ExecStart"].startswith("/opt/parvis/.venv/bin/parvis ")


def test_systemd_hears_that_the_town_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        service_manager.tell_service_manager("READY=1")
        assert listener.recv(100) == b"READY=1"
    monkeypatch.delenv("NOTIFY_SOCKET")
    service_manager.tell_service_manager("READY=1")
