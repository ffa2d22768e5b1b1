"""Tests real mails of other people: none is lost, none hangs, machines are recognised."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic_settings import BaseSettings, SettingsConfigDict

from parvis.ingest_email.parse.mail import parse_mail
from parvis.ingest_email.sandbox.mail_parser_pool import MailParserPool, ResourceLimits

_AT_ONCE = 8


class Samples(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="PARVIS_")
    samples: Path | None = None


def folder(name: str) -> Path:
    samples = Samples().samples
    if samples is None or not (samples / name).is_dir():
        pytest.skip(f"PARVIS_SAMPLES has no {name}")
    return samples / name


async def test_hostile_mails_are_read_or_flagged() -> None:
    files = [one for one in folder("email-hostile").rglob("*") if one.is_file() and one.suffix not in (".json", ".md")]
    readers, free = MailParserPool(1, ResourceLimits(1024 * 1024 * 1024, 10, 15)), asyncio.Semaphore(_AT_ONCE)

    async def read(file: Path) -> str | None:
        async with free:
            return (await readers.parse(file.read_bytes())).mail.trouble

    async with readers.running():
        troubles = await asyncio.gather(*map(read, files))
    assert len(troubles) == len(files) > 50
    assert (
        sum(
            trouble not in (None, "one fragment of a mail that was sent in several (message/partial)")
            for trouble in troubles
        )
        <= len(files) / 50
    )


def test_what_machines_wrote_is_known_as_such() -> None:
    """98.5 % of the bounces, complaints and vacation notes; RFC headers alone know 96.5 %."""
    rows: Sequence[dict[str, Any]] = json.loads((folder("email-bounce") / "expected.json").read_text())
    known: list[bool] = []
    for row in rows:
        file = folder("email-bounce") / row["file"]
        if file.exists() and row.get("kind") in ("bounce", "feedback", "vacation"):
            known.append(parse_mail(file.read_bytes())[0].machine is not None)
    assert len(known) > 100
    assert sum(known) / len(known) >= 0.985
