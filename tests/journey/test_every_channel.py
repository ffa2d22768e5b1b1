"""Tests that each channel reaches its department and that replies honour the citizen's preferences."""

import asyncio
from pathlib import Path

import pypdfium2
import pytest

from parvis.common.contract.contact import ContactId
from parvis.local.citizen_client import Citizens
from parvis.local.demo.scenario import ANSWERS, DemoCast, run_demo
from parvis.local.demo.watch import Journey
from parvis.local.stack import Stack
from tests.faults.oracle import check_invariants, read_state
from tests.faults.sms_load import Attempt

pytestmark = [pytest.mark.journey, pytest.mark.stack]

CAST = DemoCast()
DEPARTMENTS = {
    "sms": "eau-assainissement",
    "email": "elections-citoyennete",
    "web": "voirie",
    "post": "etat-civil",
    "counter": "enfance-ecoles",
}
ANSWERED_ON = {"sms": "sms", "email": "sms", "web": "email", "post": "post", "counter": "post"}


@pytest.fixture(scope="module")
def journeys(town: Stack) -> dict[str, Journey]:
    """The journeys of five citizens who wrote and were answered."""
    played = asyncio.run(run_demo(town, lambda _sentence: None, CAST))
    return {journey.channel: journey for journey in played}


@pytest.mark.parametrize("channel", DEPARTMENTS)
def test_a_contact_reaches_its_department(journeys: dict[str, Journey], channel: str):
    assert journeys[channel].department == DEPARTMENTS[channel]


@pytest.mark.parametrize("channel", ANSWERED_ON)
def test_the_answer_takes_the_road_its_reader_prefers(journeys: dict[str, Journey], channel: str):
    row = journeys[channel].row()

    assert row["answered_on"] == ANSWERED_ON[channel]
    assert row["status"] in ({"to-print", "handed-over"} if ANSWERED_ON[channel] == "post" else {"delivered"})


async def test_the_telephone_has_the_notice_and_the_answer(citizens: Citizens, journeys: dict[str, Journey]):
    asked_by_mail = await citizens.messages_to(CAST.mail_writers_number)

    assert journeys["email"].channel == "email"
    words = ANSWERS["email"].replace("’", "'")  # one typographic apostrophe would cost a second segment
    assert any(words in message["body"] for message in asked_by_mail), [m["body"] for m in asked_by_mail]
    assert all("P-" in message["body"] for message in asked_by_mail), "a notice without its reference"


async def test_nothing_went_to_the_mailbox_that_is_rarely_read(citizens: Citizens, journeys: dict[str, Journey]):
    assert journeys["email"].channel == "email"
    assert await citizens.mails_to(CAST.mail_writer) == []


async def test_the_mailbox_has_the_answer_in_words(citizens: Citizens, journeys: dict[str, Journey]):
    mails = await citizens.mails_to(CAST.cyclist)

    assert journeys["web"].channel == "web"
    assert any(ANSWERS["web"] in mail["text"] for mail in mails)
    assert all(mail["tls"] for mail in mails)


async def test_the_letter_can_be_read(citizens: Citizens, journeys: dict[str, Journey]):
    texts = [_text(file) for file in citizens.letters()]

    answers = [text for text in texts if "copie intégrale de votre acte de naissance" in text]
    assert journeys["post"].channel == "post"
    assert len(answers) == 1
    assert "Céleste EXEMPLE" in answers[0]


async def test_the_books_balance(town: Stack, journeys: dict[str, Journey]):
    assert journeys
    world = await read_state(town)
    everybody = [Attempt(ContactId(r.event_id), "", "ok", 0, 0) for r in world.received]
    assert check_invariants(world, everybody).violations == []


def _text(file: Path) -> str:
    document = pypdfium2.PdfDocument(file)
    try:
        pages = [page.get_textpage().get_text_range() for page in document]
        return " ".join(" ".join(pages).split())
    finally:
        document.close()
