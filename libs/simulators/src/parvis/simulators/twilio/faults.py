"""Defines the faults that a test can ask for, on top of the magic numbers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from parvis.simulators.twilio.magic_numbers import BEHAVIOURS, Behaviour, behaviour_of


class CallbackFaults(BaseModel):
    """What goes wrong with the status callbacks."""

    model_config = ConfigDict(extra="forbid")

    drop: bool = Field(default=False, description="None is sent.")
    repeat: int = Field(default=1, ge=1, le=20, description="Each is sent so many times.")
    reverse: bool = Field(default=False, description="All are sent at the end, the last state first.")
    forge: bool = Field(default=False, description="Each has a signature that does not fit.")
    before_answer: bool = Field(default=False, description="All are sent before the API answers the town.")


class WebhookFaults(BaseModel):
    """What goes wrong with the webhooks that tell the town of a citizen's message."""

    model_config = ConfigDict(extra="forbid")

    drop: bool = Field(default=False, description="None is sent, nor the fallback: the message is in the lists alone.")


class TwilioFaults(BaseModel):
    """The faults in force; a POST replaces them all, so `{}` heals."""

    model_config = ConfigDict(extra="forbid")

    behaviour: str | None = Field(default=None, description="A behaviour of the table, for any recipient.")
    times: int | None = Field(default=None, ge=1, description="For so many messages; none means until healed.")
    numbers: dict[str, str] = Field(default_factory=dict, description="Recipient to behaviour, until healed.")
    callbacks: CallbackFaults = Field(default_factory=CallbackFaults)
    webhooks: WebhookFaults = Field(default_factory=WebhookFaults)
    media: Literal["error", "hang", "lost"] | None = Field(
        default=None, description="GET of a message's file fails like this (500, no answer, 404), until healed."
    )
    lists: Literal["error", "hang"] | None = Field(
        default=None, description="GET of messages fails like this, until healed."
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
        """Give what happens to the next message to this recipient, and count it."""
        if self.behaviour is not None:
            wanted = BEHAVIOURS[self.behaviour]
            if self.times is not None:
                self.times -= 1
                if self.times == 0:
                    self.behaviour, self.times = None, None
            return wanted
        if recipient in self.numbers:
            return BEHAVIOURS[self.numbers[recipient]]
        return behaviour_of(recipient)
