"""Facts about the laptop's secrets."""

import json
from pathlib import Path

import pytest

from parvis.common.contract.errors import Misconfigured
from parvis.local import secrets


def test_they_are_made_once_and_for_their_owner_alone(tmp_path: Path):
    file = tmp_path / "secrets.json"
    first = secrets.load_secrets(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert secrets.load_secrets(file) == first
    assert first != secrets.load_secrets(tmp_path / "other.json")


def test_a_secret_that_an_older_version_did_not_know_is_added(tmp_path: Path):
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({"secret_key": "kept"}))
    assert secrets.load_secrets(file).secret_key == "kept"
    assert json.loads(file.read_text())["contact_point_key"] == secrets.load_secrets(file).contact_point_key


def test_a_broken_file_is_named(tmp_path: Path):
    (tmp_path / "secrets.json").write_text("{")
    with pytest.raises(Misconfigured, match=r"secrets\.json"):
        secrets.load_secrets(tmp_path / "secrets.json")
