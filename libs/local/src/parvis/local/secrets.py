"""Generates this machine's secrets once and stores them in a file that only its owner can read."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.local.private_file import write_private


@dataclass(frozen=True)
class LocalSecrets:
    """The secrets that the services, the database and the simulators share."""

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
    """Read the secrets, or generate them. A secret that an older version did not have is added.

    Raises: Misconfigured, when the file cannot be parsed; Unavailable, when it cannot be written.
    """
    stored = _read(file)
    values = generate_secrets() | stored
    if values != stored:
        _write(file, values)
    return LocalSecrets(**{name: values[name] for name in LocalSecrets.__dataclass_fields__})


def _read(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Misconfigured(
            "cannot be read",
            file=file,
            mend="restore it from a copy, or delete it together with the folder `postgres` beside it",
        ) from error
    return {name: str(value) for name, value in values.items()}


def _write(file: Path, values: dict[str, str]) -> None:
    try:
        write_private(file, json.dumps(values, indent=2))
    except OSError as error:
        raise Unavailable(
            f"{file} cannot be written: {error.strerror}. Free disk space, or change the owner of the folder"
        ) from error
