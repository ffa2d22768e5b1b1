"""Checks compose.yaml and .env.example: schema, security options, variables and secrets."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from checks import settings
from checks.dockerfile import services
from checks.tools import program, run

_DEPLOY = Path(__file__).resolve().parents[1]
_FILE = _DEPLOY / "compose.yaml"
_OTHERS = {"kafka", "postgres"}
_SECRET = re.compile(r"(KEY|TOKEN|PASSWORD|DATABASE_URL)$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)(:[?-])?")


def shape() -> Iterator[str]:
    """Validate against the schema of the Compose Specification."""
    done = run(program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", _FILE)
    if done.returncode:
        yield from done.stdout.splitlines()


def content() -> Iterator[str]:
    found = _services()
    yield from (f"{name}: not in compose.yaml" for name in services() if name not in found)
    for name, service in found.items():
        if "ALL" not in service.get("cap_drop", []) or "no-new-privileges:true" not in service.get("security_opt", []):
            yield f"{name}: keeps capabilities or may gain privileges"
        if not service.get("read_only") and name != "kafka":  # its image writes its configuration at each start
            yield f"{name}: its root is not read-only"
        if not service.get("healthcheck") and name != "prepare":
            yield f"{name}: has no healthcheck"
        given = service.get("environment", {})
        yield from (
            f"{name}: the secret {key} is written in the file"
            for key, value in given.items()
            if _SECRET.search(key) and "${" not in value
        )
        if name not in _OTHERS:
            yield from settings.problems("operator" if name == "prepare" else name, set(given))


def example() -> Iterator[str]:
    """Check that .env.example has every variable of compose.yaml, the required ones without a value."""
    offered = (_DEPLOY / ".env.example").read_text(encoding="utf-8")
    for name, kind in sorted(set(_VARIABLE.findall(_FILE.read_text(encoding="utf-8")))):
        if not re.search(rf"^#?{name}=", offered, re.MULTILINE):
            yield f".env.example: lacks {name}"
        if kind == ":?" and not re.search(rf"^{name}=$", offered, re.MULTILINE):
            yield f".env.example: {name} is required and must be listed there without a value"


def _services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(_FILE.read_text(encoding="utf-8"))["services"]
