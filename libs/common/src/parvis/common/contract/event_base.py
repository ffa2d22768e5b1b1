"""Defines the base classes of every value published on Kafka, and how they write instants. Pure; no I/O."""

from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A frozen value. Unknown members are ignored, so that an old reader can read what a newer writer adds."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Model):
    """The value of one Kafka record. TYPE is its CloudEvents `type`."""

    TYPE: ClassVar[str]


def format_instant(instant: datetime) -> str:
    """A UTC instant as ISO 8601 with milliseconds and `Z`."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
