"""Defines the faults that a test can inject, in addition to the magic numbers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from parvis.simulators.twilio.magic_numbers import BEHAVIOURS, Behaviour, behaviour_of


class CallbackFaults(BaseModel):
    """Faults of the status callbacks."""

    model_config = ConfigDict(extra="forbid")

    drop: bool = Field(default=False, description="No callback is sent.")
    repeat: int = Field(default=1, ge=1, le=20, description="Number of times that each is sent.")
    reverse: bool = Field(default=False, description="All are sent at the end, the last state first.")
    forge: bool = Field(default=False, description="Each has a wrong signature.")
    before_answer: bool = Field(default=False, description="All are sent before the API answers.")


class WebhookFaults(BaseModel):
    """Faults of the webhooks for citizens' messages."""

    model_config = ConfigDict(extra="forbid")

    drop: bool = Field(
        default=False, description="Neither webhook nor fallback is sent; only the list contains the message."
    )


class TwilioFaults(BaseModel):
    """The active faults. A POST replaces them all, so `{}` clears them."""

    model_config = ConfigDict(extra="forbid")

    behaviour: str | None = Field(
        default=None, description="Behaviour for every recipient, by its name in the table of magic numbers."
    )
    times: int | None = Field(
        default=None, ge=1, description="Number of messages that `behaviour` applies to; without it, until cleared."
    )
    numbers: dict[str, str] = Field(default_factory=dict, description="Behaviour by recipient, until cleared.")
    callbacks: CallbackFaults = Field(default_factory=CallbackFaults)
    webhooks: WebhookFaults = Field(default_factory=WebhookFaults)
    media: Literal["error", "hang", "lost"] | None = Field(
        default=None, description="Failure of GET for a media file (500, no answer, 404), until cleared."
    )
    lists: Literal["error", "hang"] | None = Field(
        default=None, description="Failure of GET for the list of messages, until cleared."
    )

    @field_validator("behaviour")
    @classmethod
    def _is_in_the_table(cls, name: str | None) -> str | None:
        if name is not None and name not in BEHAVIOURS:
            raise ValueError(f"{name!r} is not one of {', '.join(BEHAVIOURS)}")
        return name

    @field_validator("numbers")
    @classmethod
    def _are_in_the_table(cls, numbers: dict[str, str]) -> dict[str, str]:
        for name in numbers.values():
            cls._is_in_the_table(name)
        return numbers

    def next_behaviour(self, recipient: str) -> Behaviour:
        """Give the behaviour for the next message to this recipient, and count the message."""
        if self.behaviour is not None:
            behaviour = BEHAVIOURS[self.behaviour]
            if self.times is not None:
                self.times -= 1
                if self.times == 0:
                    self.behaviour, self.times = None, None
            return behaviour
        if recipient in self.numbers:
            return BEHAVIOURS[self.numbers[recipient]]
        return behaviour_of(recipient)
