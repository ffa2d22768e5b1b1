"""Facts about the opt-out keywords STOP, START and HELP."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_settings import BaseSettings, SettingsConfigDict

from parvis.common.contract.contact import make_contact_id
from parvis.common.contract.normalize_contact_points import hash_contact_point, phone_contact_point
from parvis.common.testing import A_KEY
from parvis.ingest_sms.codes.opt_out_keywords import KEYWORDS
from parvis.ingest_sms.parse.keywords import find_keyword, normalize
from parvis.ingest_sms.parse.webhook_form import InboundMessage

Twilio = Any  # the class in conftest.py, which no test can import


class Samples(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="PARVIS_")
    samples: Path | None = None


def action_of(text: str, **more: str) -> str | None:
    languages = [language for words in KEYWORDS.values() for language in words]
    keyword = find_keyword(InboundMessage("SM" + "0" * 32, {"Body": text, **more}), languages)
    return keyword.action if keyword else None


@pytest.mark.parametrize(
    "text",
    [
        "STOP", "stop", " Stop. ", "STOP!!", "« STOP »", "STOP 🙏", "ＳＴＯＰ", "ARRÊT", "Arret", "arrêt !", "ARRETT", "Arrêtez",
        "STOP au 36 180", "STOP SMS", "stop svp", "STOP merci", "Stop s’il vous plaît", "please stop", "STOP STOP STOP", "Me désabonner",
        "désinscription", "Unsubscribe", "ALTO", "baja", "Stopp", "abmelden", "DUR", "İPTAL", "iptal", "ret", "توقف", "إيقاف",
        "ايقاف", "إلغاء الاشتراك", "СТОП", "відписатися", "отписаться", "停止", "退订", "Dừng", "dung", "Zatrzymaj", "Opriți",
    ],
)  # fmt: skip
def test_stop_in_the_languages_of_the_town(text: str) -> None:
    assert action_of(text) == "stop"


@pytest.mark.parametrize(
    "text", ["START", "Unstop", "début", "Reprendre merci", "INICIAR", "Başla", "ابدأ", "старт", "开始"]
)
def test_start_in_the_languages_of_the_town(text: str) -> None:
    assert action_of(text) == "start"


@pytest.mark.parametrize(
    "text", ["HELP", "aide ?", "INFO", "Ayuda", "Hilfe!", "yardım", "YARDIM", "مساعدة", "Помощь", "帮助"]
)
def test_help_in_the_languages_of_the_town(text: str) -> None:
    assert action_of(text) == "help"


@pytest.mark.parametrize(
    "text",
    [
        "stop the noise in my street", "Il faut un stop rue des Lilas", "STOP le bruit", "arrêt de bus cassé", "aide sociale",
        "Help, fire in rue des Lilas!", "aide svp", "Help me please", "oui", "non merci", "Annuler", "fin", "", "  ", "🙏",
        "Bonjour", "Je voudrais arrêter la cantine", "start of the works?", "info travaux", "STOP " * 60,
    ],
)  # fmt: skip
def test_a_keyword_with_more_text_is_not_a_keyword(text: str) -> None:
    assert action_of(text) is None


def test_a_keyword_with_media_is_not_a_keyword() -> None:
    assert action_of("STOP", NumMedia="1") is None
    assert action_of("STOP", NumMedia="1", MediaUrl0="https://api.twilio.com/x") is None
    assert action_of("STOP", NumMedia="9" * 5000) == "stop"  # no number of files, and none that Python reads


def test_every_keyword_of_twilio_is_found() -> None:
    folder = Samples().samples
    if folder is None:
        pytest.skip("PARVIS_SAMPLES is not set")
    known = json.loads((folder / "sms" / "optout_keywords_twilio.json").read_text())
    wanted = {
        "stop_default_twilio": "stop",
        "twilio_proxy_also_blocks": "stop",
        "start_default": "start",
        "help_default": "help",
    }
    for group, meaning in wanted.items():
        for word in known[group]:
            assert {action_of(text) for text in (word, word.lower(), f" {word}!", f"{word} 🙏")} == {meaning}, word


def test_each_keyword_has_one_action() -> None:
    meanings: dict[str, set[str]] = {}
    for name, languages in KEYWORDS.items():
        for words in languages.values():
            for word in words:
                meanings.setdefault(normalize(word), set()).add(name)
    assert not [word for word, names in meanings.items() if len(names) > 1]


@given(st.text())
def test_no_text_makes_the_search_raise(text: str) -> None:
    action_of(text)


async def test_stop_is_a_preference_and_no_contact(twilio: Twilio) -> None:
    response = await twilio.write("Arrêt !")
    assert (response.status_code, response.text.endswith("<Response/>")) == (200, True)
    assert twilio.contacts() == []
    (preference,) = twilio.preferences()
    point = phone_contact_point("+33639980001")
    assert (preference.opt_outs, preference.source) == (("sms", "whatsapp"), "sms-stop")
    assert (preference.personal.contact_point, preference.contact_point_hash) == (
        point,
        hash_contact_point(point, A_KEY),
    )
    assert preference.evidence
    assert twilio.stored()[0] == await twilio.webhooks.intake.blobs.get(preference.evidence)
    headers = dict(twilio.producer.sent[0].headers)
    assert headers["ce_id"].decode() == make_contact_id("sms", "+33536490100", "SM" + "0" * 32)
    assert twilio.producer.sent[0].key.decode() == preference.contact_point_hash


async def test_start_opts_in(twilio: Twilio) -> None:
    await twilio.write("START")
    (preference,) = twilio.preferences()
    assert (preference.opt_outs, preference.source) == ((), "sms-start")


async def test_stop_with_more_text_is_a_contact(twilio: Twilio) -> None:
    await twilio.write("stop the noise in my street")
    assert len(twilio.contacts()) == 1
    assert twilio.preferences() == []


async def test_a_keyword_that_may_be_an_answer_is_a_preference_and_a_contact(twilio: Twilio) -> None:
    await twilio.write("Yes")
    assert [contact.personal.text for contact in twilio.contacts()] == ["Yes"]
    assert [preference.source for preference in twilio.preferences()] == ["sms-start"]


async def test_stop_from_an_alphanumeric_sender_is_a_contact(twilio: Twilio) -> None:
    await twilio.write("STOP", From="LaPoste")
    assert len(twilio.contacts()) == 1
    assert twilio.preferences() == []


async def test_stop_and_start_from_somebody_on_whatsapp_who_hides_the_number(twilio: Twilio) -> None:
    hidden = "whatsapp:FR.4410927"
    for number, word in enumerate(("Bonjour", "STOP", "START")):
        await twilio.write(word, "SM" + str(number) * 32, From=hidden)
    opted_out, opted_in = twilio.preferences()
    assert [contact.contact_point_hash for contact in twilio.contacts()] == [opted_out.contact_point_hash]
    assert (opted_out.opt_outs, opted_in.opt_outs) == (("sms", "whatsapp"), ())


@pytest.mark.parametrize(("text", "reply"), [("AIDE", "Mairie"), ("Help", "Mairie"), ("помощь", "Mairie")])
async def test_help_is_answered_once(twilio: Twilio, text: str, reply: str) -> None:
    first, second = await twilio.write(text), await twilio.write(text, "SM" + "1" * 32)
    message = ET.fromstring(first.text).findtext("Message") or ""  # noqa: S314 (our own)
    assert message.startswith(reply)
    assert second.text.endswith("<Response/>")
    assert twilio.contacts() == []
    assert [preference.source for preference in twilio.preferences()] == ["sms-help", "sms-help"]


async def test_a_keyword_that_twilio_has_answered_is_not_answered_again(twilio: Twilio) -> None:
    response = await twilio.write("HELP", OptOutType="HELP")
    assert response.text.endswith("<Response/>")
    assert [preference.source for preference in twilio.preferences()] == ["sms-help"]


async def test_a_stop_that_only_twilio_recognised_is_a_preference_and_a_contact(twilio: Twilio) -> None:
    await twilio.write("Assez", OptOutType="STOP")
    assert [preference.source for preference in twilio.preferences()] == ["sms-stop"]
    assert len(twilio.contacts()) == 1
