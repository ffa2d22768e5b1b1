"""Facts about what is found around us."""

import sys
from pathlib import Path

import pytest

import parvis
from parvis.common.contract.errors import Misconfigured
from parvis.local import host_environment


def test_ports_are_fixed_unless_free_ones_are_asked_for():
    assert host_environment.wants_fixed_ports({})
    assert not host_environment.wants_fixed_ports({"PARVIS_PORTS": "free"})
    with pytest.raises(Misconfigured, match="PARVIS_PORTS"):
        host_environment.wants_fixed_ports({"PARVIS_PORTS": "any"})


def test_a_service_is_found_the_day_it_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, file in (("ingest_fax", "__main__.py"), ("half_done", "settings.py")):
        (tmp_path / "parvis" / name).mkdir(parents=True)
        (tmp_path / "parvis" / name / "__init__.py").touch()
        (tmp_path / "parvis" / name / file).touch()
    monkeypatch.setattr(parvis, "__path__", [*parvis.__path__, str(tmp_path / "parvis")])
    found = host_environment.installed_services()
    assert "ingest-fax" in found
    assert not {"half-done", "common", "web", "local"} & set(found)


def test_tests_do_not_inherit_what_is_set_around_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PARVIS_KAFKA_BOOTSTRAP", "kafka.example:9092")
    assert "PARVIS_KAFKA_BOOTSTRAP" in host_environment.current_environment()
    assert "PARVIS_KAFKA_BOOTSTRAP" not in host_environment.neutral_environment()


def test_the_same_python_runs_the_services():
    assert host_environment.module_command("parvis.router")[0] == sys.executable
