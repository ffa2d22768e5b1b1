"""Sends an SMS with the link to a reply that is too long for an SMS."""

from parvis.notifier.models.delivery import SendOutcome
from parvis.notifier.models.message import RenderedMessage
from parvis.notifier.models.sender_ports import ChannelSender
from parvis.notifier.send import SenderSetup


class InboxNoticeSender:
    """Sends the notice that a reply can be read in the inbox. The reply itself is stored already."""

    provider = "inbox"

    def __init__(self, sms: ChannelSender) -> None:
        self._sms = sms

    async def send(self, message: RenderedMessage) -> SendOutcome:
        return await self._sms.send(message)

    async def close(self) -> None:
        """The SMS sender closes itself."""


def create_sender(setup: SenderSetup) -> InboxNoticeSender:
    return InboxNoticeSender(setup.senders["sms"])
