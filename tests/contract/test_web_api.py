"""Tests that the web API conforms to its OpenAPI document, with all checks of schemathesis."""

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
KEY = "a key for tests only"
CALLS_AN_OPERATION = 40

pytestmark = pytest.mark.stack


def test_schemathesis_finds_nothing(
    tmp_path: Path, towns: TownsOnSharedBrokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not importlib.util.find_spec("schemathesis"):
        pytest.skip("schemathesis is not installed: make setup")
    monkeypatch.setenv("SCHEMATHESIS_HOOKS", "tests.contract.naming")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    settings = {
        "PARVIS_INGEST_WEB_API_KEYS": f"tests:{hashlib.sha256(KEY.encode()).hexdigest()}",
        "PARVIS_INGEST_WEB_API_PER_MINUTE": "100000",
    }
    (tmp_path / "schemathesis.toml").write_text(f'[auth.openapi.key]\nbearer = "{KEY}"\n')
    with towns.start(tmp_path / "town", services=["ingest-web"], environment=settings) as stack:
        found = subprocess.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "schemathesis.cli",
                    "--no-color",
                    "run",
                    f"{stack.url('ingest-web')}/api/openapi.json",
                ),
                *("--checks", "all", "--seed", "1", "--max-examples", str(CALLS_AN_OPERATION)),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
