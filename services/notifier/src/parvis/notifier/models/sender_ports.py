"""Declares the Protocols of a channel's sender: send, pause, and be asked for a message's status."""

from typing import Protocol, runtime_checkable

from parvis.notifier.models.delivery import Delivery, Found, Outcome
from parvis.notifier.models.message import Parcel


class Channel(Protocol):
    """One provider behind one reply channel.

    Gives:  the outcome of exactly one attempt; no retry of its own.
    Raises: nothing of the provider's: every answer and every silence is an outcome.
    """

    provider: str

    async def send(self, parcel: Parcel) -> Outcome: ...

    async def close(self) -> None: ...


@runtime_checkable
class Rests(Protocol):
    """A channel whose every provider is in trouble: while it rests nothing is reserved for it."""

    def rests(self) -> bool: ...


@runtime_checkable
class Answers(Protocol):
    """A channel whose providers can be asked what became of a delivery.

    Gives:  polled, the providers that never say so by themselves; find, every message of theirs that may be this delivery,
            none when they surely never took it.
    Raises: Unavailable, when they cannot be asked now.
    """

    polled: frozenset[str]

    async def find(self, delivery: Delivery, text: str) -> list[Found]: ...
