"""Defines the base classes of every value that is published on Kafka. Pure; no I/O."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Frozen; unknown members are ignored, so that a reader outlives a writer's new field."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Model):
    """The value of one Kafka record. TYPE is its CloudEvents `type`."""

    TYPE: ClassVar[str]
