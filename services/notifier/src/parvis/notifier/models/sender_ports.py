"""Declares the Protocols of senders: send a message, pause, find a message's status, register a letter."""

from typing import Protocol, runtime_checkable

from parvis.notifier.models.delivery import Delivery, ProviderMessage, SendOutcome
from parvis.notifier.models.letter import ManifestLetter
from parvis.notifier.models.message import RenderedMessage


class ChannelSender(Protocol):
    """Sends the messages of one reply channel.

    Gives:  the outcome of exactly one attempt; no retry of its own.
    Raises: no exception of a provider: every answer, and every time-out, is an outcome.
    """

    provider: str

    async def send(self, message: RenderedMessage) -> SendOutcome: ...

    async def close(self) -> None: ...


@runtime_checkable
class Pausable(Protocol):
    """A sender that may pause, for example when all its providers fail. Meanwhile nothing is reserved for its channel."""

    def is_paused(self) -> bool: ...


@runtime_checkable
class StatusQueryable(Protocol):
    """A sender whose providers can be queried for the status of a delivery.

    Gives:  polled, the providers without callbacks; find, every message of theirs that may be this delivery, and an empty list
            if they certainly never took it.
    Raises: Unavailable, if they cannot be queried now.
    """

    polled: frozenset[str]

    async def find(self, delivery: Delivery, text: str) -> list[ProviderMessage]: ...


class LetterRegister(Protocol):
    """Registers every letter that was written, so that none is written twice.

    Gives:  find_file_name, the file name of the delivery's letter, even after it has left; None if it was not written yet.
    Raises: Unavailable.
    """

    async def find_file_name(self, delivery_id: str) -> str | None: ...

    async def record(self, letter: ManifestLetter) -> None: ...
