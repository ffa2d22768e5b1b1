"""Declares the Protocols of a channel's sender: send, pause, and be asked for a message's status."""

from typing import Protocol, runtime_checkable

from parvis.notifier.models.delivery import Delivery, ProviderMessage, SendOutcome
from parvis.notifier.models.letter import PrintShopLetter
from parvis.notifier.models.message import RenderedMessage


class ChannelSender(Protocol):
    """Sends the messages of one reply channel.

    Gives:  the outcome of exactly one attempt; no retry of its own.
    Raises: nothing of the provider's: every answer and every silence is an outcome.
    """

    provider: str

    async def send(self, message: RenderedMessage) -> SendOutcome: ...

    async def close(self) -> None: ...


@runtime_checkable
class Pausable(Protocol):
    """A sender that may pause, as when all its providers are in trouble: nothing is reserved for its channel meanwhile."""

    def is_paused(self) -> bool: ...


@runtime_checkable
class StatusQueryable(Protocol):
    """A sender whose providers can be asked what became of a delivery.

    Gives:  polled, the providers that send no callback; find, every message of theirs that may be this delivery; an empty list
            when they surely never took it.
    Raises: Unavailable, when they cannot be asked now.
    """

    polled: frozenset[str]

    async def find(self, delivery: Delivery, text: str) -> list[ProviderMessage]: ...


class LetterRegister(Protocol):
    """Remembers every letter that was written, so that none is written twice.

    Gives:  find_file_name, the name of the delivery's letter, wherever it is by now; None before it was written.
    Raises: Unavailable.
    """

    async def find_file_name(self, delivery_id: str) -> str | None: ...

    async def record(self, letter: PrintShopLetter) -> None: ...
