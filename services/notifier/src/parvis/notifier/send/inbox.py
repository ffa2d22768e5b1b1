"""Sends a notice by SMS with the link to a reply that waits in its inbox: for a reply that is too long for an SMS."""

from parvis.notifier.models.delivery import SendOutcome
from parvis.notifier.models.message import RenderedMessage
from parvis.notifier.models.sender_ports import ChannelSender
from parvis.notifier.send import SenderSetup


class InboxNotice:
    """Replies are kept in any case; this tells a telephone where to read one: with a code, or by calling the department."""

    provider = "inbox"

    def __init__(self, sms: ChannelSender) -> None:
        self._sms = sms

    async def send(self, message: RenderedMessage) -> SendOutcome:
        return await self._sms.send(message)

    async def close(self) -> None:
        """The SMS sender closes itself."""


def create_sender(setup: SenderSetup) -> InboxNotice:
    return InboxNotice(setup.senders["sms"])
