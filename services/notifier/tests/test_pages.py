"""Facts about the notifier's pages: unsubscription, and reading a reply with a one-time code."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from services.notifier.tests.parts import MakeReply, Notifier
from services.notifier.tests.site import HERE, MAIL, PHONE, SECRET, Site, stored_reply
from sqlalchemy import text

from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.delivery import make_delivery_id
from parvis.common.contract.preference import SMS_STOP, PreferenceChanged, PreferencePersonalData
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.clock import now
from parvis.notifier import pages

# How people type a code.
WAYS: dict[str, Callable[[str], str]] = {
    "together": str,
    "in groups": lambda code: f" {code[:4]}\N{NO-BREAK SPACE}{code[4:8]}-{code[8:]} ",
    "one by one": " ".join,
    "arabic digits": lambda code: "".join(chr(ord("٠") + int(digit)) for digit in code),
    "full width": lambda code: "".join(chr(ord("０") + int(digit)) for digit in code),
}


@asynccontextmanager
async def published(notifier: Notifier) -> AsyncGenerator[None]:
    """Publish what the outbox holds."""
    async with notifier.running():
        yield


async def sent_status(site: Site, make_reply: MakeReply, key: str = "1", **changes: Any) -> ReplyRequested:
    reply = make_reply(key, **({"kind": "status", "legal": False, "channel": "email", "points": (MAIL,)} | changes))
    async with site.notifier.running():
        await site.notifier.take(reply)
        await site.notifier.until(lambda states: not {"planned", "reserved"} & set(states))
    return reply


def unsubscribe_path(site: Site, reply: ReplyRequested) -> str:
    return site.renderer.links.unsubscribe(make_delivery_id(reply.reply_id, "email")).removeprefix(HERE)


@pytest.mark.stack
async def test_one_click_unsubscribes_and_a_legal_notice_takes_another_channel(
    site: Site, make_reply: MakeReply
) -> None:
    first = await sent_status(site, make_reply)
    assert "List-Unsubscribe=One-Click" in site.notifier.outside.mail.box.mails[0].content.decode()
    clicked = await site.browser.post(unsubscribe_path(site, first), data={"List-Unsubscribe": "One-Click"})
    assert clicked.status_code == 200
    assert "celeste" not in clicked.text
    both = (MAIL, PHONE)
    await sent_status(site, make_reply, "2")
    await sent_status(
        site,
        make_reply,
        "3",
        kind="registration",
        legal=True,
        points=both,
        personal={"variables": {"received_on": "x"}},
    )
    states = {(row.kind, row.channel): row.state for row in await site.notifier.rows()}
    assert len(site.notifier.outside.mail.box.mails) == 1, "no second mail"
    assert states["registration", "sms"] == "accepted"
    (change,) = [PreferenceChanged.model_validate_json(r.value) for r in site.notifier.producer.sent if r.topic.endswith("preference.changed")]  # fmt: skip
    assert (change.source, change.opt_outs, change.contact_point_hash) == (
        "unsubscribe",
        ("email",),
        site.notifier.chooser.hash_of(MAIL),
    )


@pytest.mark.stack
async def test_a_second_click_changes_nothing(site: Site, make_reply: MakeReply) -> None:
    reply = await sent_status(site, make_reply)
    async with published(site.notifier):
        answers = await asyncio.gather(*(site.browser.post(unsubscribe_path(site, reply)) for _ in range(3)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(record.topic.endswith("preference.changed") for record in site.notifier.producer.sent) == 1


@pytest.mark.stack
async def test_who_unsubscribed_sees_so_later_and_has_a_way_back(site: Site, make_reply: MakeReply) -> None:
    reply = await sent_status(site, make_reply)
    path = unsubscribe_path(site, reply)
    await site.browser.post(path, data={"List-Unsubscribe": "One-Click"})
    seen_again = await site.browser.get(path)
    assert "Vous êtes désinscrit" in seen_again.text
    assert '<form method="post">' not in seen_again.text

    back = await site.browser.post(path, params={"again": "true"})
    assert "Recevoir de nouveau" not in back.text
    assert '<form method="post">' in (await site.browser.get(path)).text


@pytest.mark.stack
async def test_opening_the_link_unsubscribes_nobody(site: Site, make_reply: MakeReply) -> None:
    reply = await sent_status(site, make_reply)
    page = await site.browser.get(unsubscribe_path(site, reply))
    assert page.status_code == 200
    assert "c•••@citizens.example" in page.text
    assert '<form method="post">' in page.text
    english = await site.browser.get(unsubscribe_path(site, reply), params={"lang": "en"})
    assert "Unsubscribe from information emails" in english.text
    async with published(site.notifier):
        pass
    assert not [record for record in site.notifier.producer.sent if record.topic.endswith("preference.changed")]


@pytest.mark.stack
@pytest.mark.parametrize("token", ["x", "0" * 32 + ".aaaaaaaaaaaaaaaa", "%00", "a" * 5000])
async def test_a_forged_link_is_not_found(site: Site, token: str) -> None:
    for path in ("/unsubscribe/", "/inbox/"):
        assert (await site.browser.get(path + token)).status_code == 404
        assert (await site.browser.post(path + token)).status_code in {404, 405}


@pytest.mark.stack
async def test_a_reply_is_read_with_a_code_even_if_it_was_never_sent(site: Site, make_reply: MakeReply) -> None:
    reply = await stored_reply(site, make_reply)
    page = await site.browser.get(site.path(reply))
    assert page.status_code == 200
    assert SECRET not in page.text
    assert PHONE.value not in page.text
    assert "•• •• •• •• 12" in page.text
    assert "c•••@citizens.example" in page.text
    assert "one-time-code" in (await site.ask_code(reply)).text
    (code,) = site.codes_by_sms
    opened = await site.enter(reply, f"{code[:3]} {code[3:]}")
    assert opened.status_code == 303
    read = await site.browser.get(site.path(reply))
    assert SECRET in read.text
    assert read.headers["cache-control"] == "no-store"
    assert "noindex" in read.headers["x-robots-tag"]


@pytest.mark.stack
@pytest.mark.parametrize("way", list(WAYS.values()), ids=list(WAYS))
async def test_a_code_is_typed_with_spaces_or_without_and_in_any_digits(
    site: Site, make_reply: MakeReply, way: Callable[[str], str]
) -> None:
    reply = await stored_reply(site, make_reply)
    page = (await site.ask_code(reply)).text
    (field,) = re.findall(r'<input id="code"[^>]*>', page)
    assert 'autocomplete="one-time-code"' in field
    assert 'inputmode="numeric"' in field
    (code,) = site.codes_by_sms
    typed = way(code)
    assert len(typed) <= int(re.findall(r'maxlength="(\d+)"', field)[0])
    assert (await site.enter(reply, typed)).status_code == 303


@pytest.mark.stack
async def test_a_code_comes_by_mail_too(site: Site, make_reply: MakeReply) -> None:
    reply = await stored_reply(site, make_reply)
    await site.ask_code(reply, to=1)
    (mail,) = site.notifier.outside.mail.box.mails
    assert mail.recipients[0].address == MAIL.value
    code = re.findall(rb"    (\d{4} \d{4} \d{4})", mail.content)[0]
    assert (await site.enter(reply, code.decode())).status_code == 303


@pytest.mark.stack
async def test_who_has_only_the_link_cannot_lock_the_citizen_out(site: Site, make_reply: MakeReply) -> None:
    """Whoever has the link asks for all codes of a day, to every address, and enters wrong ones."""
    reply = await stored_reply(site, make_reply)
    for _ in range(8):
        for to in (0, 1):
            await site.ask_code(reply, to=to)
            for _ in range(6):
                assert (await site.enter(reply, "000000000000")).status_code == 422
        site.at += timedelta(minutes=21)
    page = (await site.ask_code(reply)).text
    assert "Plusieurs codes ont déjà été envoyés" in page
    assert "one-time-code" in page
    assert (await site.enter(reply, site.codes_by_sms[0])).status_code == 303
    assert (await site.enter(reply, site.codes_by_sms[0])).status_code == 422, "a code works once"
    assert (await site.enter(reply, site.codes_by_sms[-1])).status_code == 303


@pytest.mark.stack
async def test_a_code_opens_its_own_reply_for_a_day(site: Site, make_reply: MakeReply) -> None:
    reply = await stored_reply(site, make_reply)
    other = make_reply("other", points=(PHONE,), requested_at=site.at, send_at=site.at + timedelta(days=9))
    await site.notifier.take(other)
    await site.ask_code(reply)
    await site.ask_code(other)
    first, foreign = site.codes_by_sms
    assert (await site.enter(reply, foreign)).status_code == 422
    site.at += timedelta(days=1, minutes=1)
    assert (await site.enter(reply, first)).status_code == 422


@pytest.mark.stack
async def test_the_number_of_codes_is_limited(site: Site, make_reply: MakeReply) -> None:
    reply = await stored_reply(site, make_reply)
    pages: list[str] = []
    for _ in range(4):
        pages.append((await site.ask_code(reply)).text)
        site.at += timedelta(minutes=11)
    assert len(site.codes_by_sms) == 3
    assert "Plusieurs codes" in pages[-1]
    for _ in range(4):
        site.at += timedelta(hours=1)
        await asyncio.gather(*(site.ask_code(reply) for _ in range(9)))
    assert len(site.codes_by_sms) == 6, "six a day, however many ask at a time"
    site.at += timedelta(days=1)
    await site.ask_code(reply)
    assert len(site.codes_by_sms) == 7


@pytest.mark.stack
async def test_asking_again_while_a_code_is_under_way_sends_and_counts_nothing(
    site: Site, make_reply: MakeReply
) -> None:
    reply = await stored_reply(site, make_reply)
    pages = [(await site.ask_code(reply)).text for _ in range(9)]
    assert len(site.codes_by_sms) == 1
    assert not any("Plusieurs codes" in page for page in pages)
    assert (await site.enter(reply, site.codes_by_sms[0])).status_code == 303


@pytest.mark.stack
async def test_links_and_reading_sessions_expire(site: Site, make_reply: MakeReply) -> None:
    reply = await stored_reply(site, make_reply)
    await site.ask_code(reply)
    await site.enter(reply, site.codes_by_sms[0])
    assert SECRET in (await site.browser.get(site.path(reply))).text
    site.at += timedelta(minutes=31)
    assert SECRET not in (await site.browser.get(site.path(reply))).text
    site.at += timedelta(days=90)
    assert (await site.browser.get(site.path(reply))).status_code == 404


@pytest.mark.stack
async def test_a_cookie_of_one_reply_opens_no_other_and_a_forged_one_none(site: Site, make_reply: MakeReply) -> None:
    reply, other = (
        await stored_reply(site, make_reply),
        make_reply("other", points=(PHONE,), personal={"text": SECRET}, requested_at=site.at),
    )
    await site.notifier.take(other)
    await site.ask_code(reply)
    opened = await site.enter(reply, site.codes_by_sms[0])
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    value = cookie.partition("=")[2].partition(";")[0]
    for given in (value, value[:-1] + ("0" if value[-1] != "0" else "1"), "e30.00", ""):
        page = await site.browser.get(site.path(other), headers={"cookie": f"parvis-inbox={given}"})
        assert SECRET not in page.text


@pytest.mark.stack
async def test_another_sites_form_sends_no_code(site: Site, make_reply: MakeReply) -> None:
    reply = await stored_reply(site, make_reply)
    answer = await site.browser.post(
        f"{site.path(reply)}/code", data={"to": 0}, headers={"sec-fetch-site": "cross-site"}
    )
    assert answer.status_code == 403
    assert not site.codes_by_sms


@pytest.mark.stack
async def test_a_citizen_without_phone_or_email_is_asked_to_call(site: Site, make_reply: MakeReply) -> None:
    home = ContactPoint(kind="post", value="Mme Céleste EXEMPLE\n12 rue X\n99999 VILLE")
    page = await site.browser.get(site.path(await stored_reply(site, make_reply, channel="post", points=(home,))))
    assert "05 36 49 01 10" in page.text
    assert 'name="to"' not in page.text


@pytest.mark.stack
async def test_an_answer_too_long_for_the_only_telephone_is_announced_by_sms(site: Site, make_reply: MakeReply) -> None:
    reply = make_reply("long", points=(PHONE,), personal={"text": f"{SECRET} " + "Encore une phrase. " * 100})
    async with site.notifier.running():
        await site.notifier.take(reply)
        await site.notifier.until(lambda states: states == ["failed", "accepted"])
    assert [row.channel for row in await site.notifier.rows()] == ["sms", "inbox"]
    (message,) = site.notifier.at_twilio
    assert site.renderer.inbox_link(reply) in message.body
    assert SECRET not in message.body
    assert reply.reference in message.body


@pytest.mark.stack
async def test_an_inbox_notice_becomes_a_task_when_its_telephone_says_stop(site: Site, make_reply: MakeReply) -> None:
    notifier = site.notifier
    async with notifier.running():
        await notifier.take(make_reply("long", points=(PHONE,), personal={"text": "Encore une phrase. " * 100}))
        await notifier.until(lambda states: states == ["failed", "accepted"])
    async with notifier.database.transaction() as connection:
        await connection.execute(text("update notifier.delivery set state = 'planned' where channel = 'inbox'"))
    stop = PreferenceChanged(
        contact_point_hash=notifier.chooser.hash_of(PHONE),
        opt_outs=("sms", "whatsapp"),
        source=SMS_STOP,
        changed_at=now(),
        personal=PreferencePersonalData(contact_point=PHONE),
    )
    await notifier.take(stop)
    assert await notifier.send_loop().reserve(10) == []
    steps = [(row.channel, row.state) for row in await notifier.rows()]
    assert steps == [("sms", "failed"), ("inbox", "cancelled"), ("phone", "failed")]


def test_both_catalogues_have_the_same_keys() -> None:
    folder = Path(pages.__file__ or "").parents[1] / "words"
    fr, en = (yaml.safe_load((folder / f"{language}.yaml").read_text()) for language in ("fr", "en"))
    assert {part: set(words) for part, words in fr.items()} == {part: set(words) for part, words in en.items()}
