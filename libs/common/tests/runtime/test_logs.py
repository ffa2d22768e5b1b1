"""Facts about what reaches the log."""

import json
import logging
from collections.abc import Generator

import pytest
import structlog

from parvis.common.runtime import logs
from parvis.common.runtime.logs import logger


@pytest.fixture(autouse=True)
def as_before() -> Generator[None]:
    root = logging.root.handlers[:], logging.root.level  # pytest's own
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.root.handlers[:], logging.root.level = root


def test_a_log_line_has_known_keys_only(capsys: pytest.CaptureFixture[str]):
    logs.configure("test", level="info", format="json")

    logger().info("contact.received", contact_id="c1", phone="+33639980001", text="mon secret")

    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["contact_id"], line["service"]) == ("contact.received", "c1", "test")
    assert "phone" in line["reason"]
    assert "mon secret" not in str(line)
    assert "639980001" not in str(line)


def test_an_exception_is_logged_without_its_message(capsys: pytest.CaptureFixture[str]):
    logs.configure("test", level="info", format="json")

    try:
        raise RuntimeError("mon secret")
    except RuntimeError:
        logger().exception("service.failed")

    line = json.loads(capsys.readouterr().out)
    assert line["exception"].endswith("RuntimeError")
    assert "test_logs.py" in line["exception"]
    assert "mon secret" not in str(line)


@pytest.mark.parametrize("key", ["address", "body", "number", "name", "phone", "email"])
def test_no_key_for_personal_data_is_allowed(key: str, capsys: pytest.CaptureFixture[str]):
    logs.configure("test", level="info", format="json")

    logger().info("contact.received", **{key: "1 rue des Lilas"})

    assert "Lilas" not in capsys.readouterr().out
