"""Finds the settings of the town that runs on this machine, for an operator's command beside it."""

import json
import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from parvis.common.contract.errors import Misconfigured

# Where one of these is set, the command belongs to the town that it names.
_NAMES_A_TOWN = ("PARVIS_DATABASE_URL", "PARVIS_KAFKA_BOOTSTRAP", "PARVIS_SECRET_KEY", "PARVIS_CONTACT_POINT_KEY")


def use_running_town(environment: MutableMapping[str, str] = os.environ) -> None:  # noqa: TID251 (settings are read from it)
    """Add the settings of `$PARVIS_VAR/up.json`, which is there while `parvis up` or `parvis demo` runs.

    Shape:  what the environment sets stays; if it names a town of its own, nothing is added.
    Raises: Misconfigured, when the file cannot be read.
    """
    if any(environment.get(name) for name in _NAMES_A_TOWN):
        return
    file = Path(environment.get("PARVIS_VAR") or "var") / "up.json"
    if not _is_ours(file):
        return
    try:
        up: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        settings: dict[str, Any] = up.get("settings", {}) if _runs(up["supervisor"]["pid"]) else {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise Misconfigured("cannot be read", file=file, mend="stop `parvis up`, and start it again") from error
    for name, value in settings.items():
        environment.setdefault(name, str(value))


def _is_ours(file: Path) -> bool:
    """Whether the file is there and nobody else can have written it: who names the database names what is believed."""
    try:
        status = file.stat()
    except OSError:
        return False
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _runs(pid: int) -> bool:
    """Whether the town's supervisor runs: after `kill -9` its file is left over."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
