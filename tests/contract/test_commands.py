"""Tests that every command answers bad input with one clear line and an exit code, and does nothing."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from parvis.common.cli import main
from parvis.common.contract.errors import EXIT_MISCONFIGURED
from parvis.common.runtime import logs

TOWN = Path("config/example-town").absolute()
MISSING, FILE = "/missing/file", str(Path("README.md").absolute())
BAD_ARGUMENT = 2


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = {
        "DATABASE_URL": "postgresql+asyncpg://somebody:secret@127.0.0.1:1/town", "KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "SECRET_KEY": "a secret for tests only", "CONTACT_POINT_KEY": "another secret for tests", "CONFIG_DIR": TOWN,
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(f"PARVIS_{name}", str(value))
    monkeypatch.setattr(logs, "configure", Mock())  # it would outlive this test's own output
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        # a file or folder that cannot be read or written
        (("notifier", "preview", TOWN, "--to", FILE, "--template", "code"), BAD_ARGUMENT, "Not a directory"),
        (("notifier", "preview", MISSING, "--to", "out"), EXIT_MISCONFIGURED, "not a folder"),
        (("desk", "corrected-texts", MISSING), BAD_ARGUMENT, "cannot be written"),
        (("desk", "corrected-texts", TOWN), BAD_ARGUMENT, "cannot be written"),
        (("separators", "print", "-o", MISSING), BAD_ARGUMENT, "cannot be written"),
        (("router", "train-danger", TOWN, "--out", MISSING), BAD_ARGUMENT, "cannot be written"),
        (("router", "train-danger", MISSING, "--out", "model"), EXIT_MISCONFIGURED, "no sentences"),
        (("router", "train", MISSING, "--trial"), EXIT_MISCONFIGURED, "departments are needed"),
        (("router", "evaluate", "--train", MISSING, "--test", MISSING), EXIT_MISCONFIGURED, "cannot be read"),
        (("rules", "check", MISSING), EXIT_MISCONFIGURED, "not a folder"),
        (("mail", "recipients", MISSING), EXIT_MISCONFIGURED, "not a folder"),
        (("config", "check", FILE), EXIT_MISCONFIGURED, "not a folder"),
        (("reference", FILE), BAD_ARGUMENT, "Not a directory"),
        # no address, no number, no day, no name
        (("desk", "user", "add", "Camille Exemple", "notamail"), BAD_ARGUMENT, "'notamail' is no mail address"),
        (("desk", "user", "add", " ", "camille@town.example"), BAD_ARGUMENT, "empty"),
        (("desk", "user", "reset", "notamail"), BAD_ARGUMENT, "no mail address"),
        (("desk", "program", "add", "Bot", "--department", "voirie", "--days", "99999999999"), BAD_ARGUMENT, "days"),
        (("desk", "program", "add", "Bot", "--department", "voirie", "--days", "-1"), BAD_ARGUMENT, "days"),
        (("notifier", "preferences", "email", "bad"), 1, "not a mail address"),
        (("notifier", "preferences", "phone", "bad"), 1, "not a possible telephone number"),
        (("notifier", "preferences", "post", "bad"), 1, "two to seven lines"),
        (("notifier", "rebuild", "--since", "yesterday"), BAD_ARGUMENT, "neither an instant"),
        (("rules", "explain", TOWN, "Bonjour", "--from", "bad"), BAD_ARGUMENT, "no mail address"),
        (("rules", "explain", TOWN, "Bonjour", "--channel", "pigeon"), BAD_ARGUMENT, "'pigeon'"),
        (("rules", "explain", TOWN, "Bonjour", "--procedure", "water-leek"), 1, "Did you mean 'water-leak'?"),
        (("rules", "explain", TOWN, "Bonjour", "--language", "xx"), 1, "fr, en"),
        (("rules", "replay", TOWN, "--days", "0"), BAD_ARGUMENT, "days"),
        (("router", "train", "--transfers", "--days", "99999999999"), BAD_ARGUMENT, "days"),
        (("router", "train", "--precision", "nan"), BAD_ARGUMENT, "no number"),
        (("router", "train-danger", TOWN, "--out", "model", "--false-alarms", "7"), BAD_ARGUMENT, "no number"),
        (("separators", "print", "--count", "many"), BAD_ARGUMENT, "'many' is no number"),
        (("separators", "print", "--received", "today"), BAD_ARGUMENT, "'today' is no day"),
        (("dead-letters", "list", "router", "--since", "9999w"), BAD_ARGUMENT, "neither an instant"),
        (("trace", ""), BAD_ARGUMENT, "empty"),
        (("trace", " \t"), BAD_ARGUMENT, "empty"),
        (("trace", "\udcff"), BAD_ARGUMENT, "not UTF-8"),
        # a name that does not exist: those that do are listed
        (("settings", "foo"), 1, "desk, ingest-email, ingest-postal, ingest-sms, ingest-web, notifier, router"),
        (("settings", "routr"), 1, "Did you mean 'router'?"),
    ],
    ids=lambda value: " ".join(map(ascii, value)) if isinstance(value, tuple) else None,
)
def test_bad_input_gets_one_line_and_an_exit_code(
    command: tuple[object, ...],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["parvis", *map(str, command)])

    with pytest.raises(SystemExit) as ended:
        main()

    output = capsys.readouterr()
    assert (ended.value.code, output.out) == (code, "")
    *usage, line = output.err.splitlines()
    assert said in line
    assert not usage or usage[0].startswith("usage: ")  # argparse's own, above the line
    assert not list(Path.cwd().iterdir())
