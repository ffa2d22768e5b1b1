"""Generates this machine's secrets once and keeps them in a file that its owner alone can read."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.local.private_file import write_private


@dataclass(frozen=True)
class LocalSecrets:
    """What the town, its database and the simulated outside world know, and nobody else."""

    secret_key: str
    contact_point_key: str
    database_password: str
    twilio_account_sid: str
    twilio_auth_token: str
    relay_username: str
    relay_password: str
    desk_api_token: str

    def __repr__(self) -> str:
        return "Secrets(…)"


def generate_secrets() -> dict[str, str]:
    return {
        "secret_key": secrets.token_hex(32),
        "contact_point_key": secrets.token_hex(32),
        "database_password": secrets.token_hex(16),
        "twilio_account_sid": f"AC{secrets.token_hex(16)}",
        "twilio_auth_token": secrets.token_hex(16),
        "relay_username": "town-hall",
        "relay_password": secrets.token_hex(16),
        "desk_api_token": secrets.token_hex(16),
    }


def load_secrets(file: Path) -> LocalSecrets:
    """Read the secrets, or make them. A name that an older version did not know is added.

    Raises: Misconfigured, when the file is none of ours; Unavailable, when it cannot be written.
    """
    known = _read(file)
    values = generate_secrets() | known
    if values != known:
        _write(file, values)
    return LocalSecrets(**{name: values[name] for name in LocalSecrets.__dataclass_fields__})


def _read(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Misconfigured(
            "cannot be read",
            file=file,
            mend="put it back from a copy, or remove it with the database's folder beside it",
        ) from error
    return {name: str(value) for name, value in found.items()}


def _write(file: Path, values: dict[str, str]) -> None:
    try:
        write_private(file, json.dumps(values, indent=2))
    except OSError as error:
        raise Unavailable(
            f"{file} cannot be written: {error.strerror}. Make room, or give the folder to yourself"
        ) from error
