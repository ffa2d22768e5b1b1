"""Facts about the notifier's wiring: every channel that is sent has a sender, and a new one needs one row and one module."""

import pkgutil
import sys
from collections.abc import Callable, Generator
from types import ModuleType

import pytest
from services.notifier.tests.parts import MakeReply, Notifier

from parvis.common.contract.channels import ChannelProperties, channels, temporary_channel
from parvis.common.contract.contact import ContactPoint, ReplyAddress
from parvis.notifier import send
from parvis.notifier.models.delivery import SendOutcome
from parvis.notifier.models.message import RenderedMessage

pytestmark = pytest.mark.stack
PIGEON = ChannelProperties(
    name="pigeon",
    contact_point_kind="phone",
    reply_channel="pigeon",
    is_sent=True,
    template_medium="sms",
    media_type="text/plain; charset=utf-8",
)


def test_every_module_of_send_is_a_channel_that_is_sent_and_has_its_sender(notifier: Notifier) -> None:
    modules = {module.name for module in pkgutil.iter_modules(send.__path__)}
    assert modules == set(notifier.senders) == {row.name for row in channels() if row.is_sent}


def test_every_channel_that_is_sent_says_what_is_sent_on_it() -> None:
    assert all(row.media_type and row.template_medium for row in channels() if row.is_sent)


class Pigeon:
    """A made-up channel's sender."""

    provider = "loft"

    def __init__(self) -> None:
        self.messages: list[RenderedMessage] = []

    async def send(self, message: RenderedMessage) -> SendOutcome:
        self.messages.append(message)
        return SendOutcome("delivered", "ring-1")

    async def close(self) -> None: ...


def create_pigeon(_: send.SenderSetup) -> Pigeon:
    return Pigeon()


@pytest.fixture
def pigeon_module(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    module = ModuleType("parvis.notifier.send.pigeon")
    module.__dict__["create_sender"] = create_pigeon
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with temporary_channel(PIGEON):
        yield


async def test_a_made_up_channel_is_one_row_and_one_file(
    pigeon_module: None, a_notifier: Callable[..., Notifier], make_reply: MakeReply
) -> None:
    notifier = a_notifier()
    stated = (ReplyAddress(channel="pigeon", address="+33639980001"),)
    mail = (ContactPoint(kind="email", value="celeste@citizens.example"),)
    async with notifier.running():
        await notifier.take(make_reply(points=mail, personal={"stated": stated}))
        await notifier.until(lambda states: states == ["delivered"])
    pigeon = notifier.senders["pigeon"]
    assert isinstance(pigeon, Pigeon)
    (message,) = pigeon.messages
    assert "Votre acte est prêt" in message.content.decode()
    assert [(update.channel, update.state) for update in notifier.published] == [
        ("pigeon", "reserved"),
        ("pigeon", "delivered"),
    ]
