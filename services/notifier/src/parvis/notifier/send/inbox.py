"""A notice that a reply waits in, an SMS with the link to it out: for what is too long for an SMS itself."""

from parvis.notifier.models.delivery import Outcome
from parvis.notifier.models.message import Parcel
from parvis.notifier.models.sender_ports import Channel


class Inbox:
    """Replies are kept in any case; this tells a telephone where. Read it with a code, or have it read out by the department."""

    provider = "inbox"

    def __init__(self, sms: Channel) -> None:
        self._sms = sms

    async def send(self, parcel: Parcel) -> Outcome:
        return await self._sms.send(parcel)

    async def close(self) -> None:
        """The SMS channel closes itself."""
