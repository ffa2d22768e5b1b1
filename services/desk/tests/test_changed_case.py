"""Tests that an answer to a case which changed since the page was made is shown again, with the change and the typed text, and not sent."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx
import pytest
from services.desk.tests.test_pages import CASE, CONTACT, personal, routed

from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.contract.routing.transfer import ConversationArrived
from parvis.common.testing import AN_INSTANT, a_contact

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
CONVERSATION = make_conversation_id(CONTACT.contact_id, CONTACT.received_at)
ANSWER = {"text": "Une équipe passera jeudi.", "channel": "", "then": "closed", "do": "send"}
A_LATER_MESSAGE = routed(
    a_contact(key="later", personal=personal("En fait le trou est bouché.")),
    conversation_id=CONVERSATION,
    reference=CONTACT.reference,
    sequence=2,
)


async def test_an_answer_to_a_message_that_was_not_the_last_is_not_sent_but_shown_again(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published
) -> None:
    await project(routed(CONTACT))
    form = await open_form(agent, CASE, f"{CASE}/reply")
    await project(A_LATER_MESSAGE)
    refused = await agent.post(f"{CASE}/reply", data=form | ANSWER)

    assert refused.status_code == 409
    changes = refused.text.split('id="changes"')[1].split("</section>")[0]
    assert "En fait le trou est bouché." in changes
    assert "Un trou rue Haute." not in changes
    assert ANSWER["text"] in refused.text
    assert "Envoyer quand même" in refused.text
    assert not await published("reply.requested")

    again = await agent.post(f"{CASE}/reply", data=await open_form(agent, refused.text, f"{CASE}/reply") | ANSWER)
    assert again.status_code == 303
    (value,) = await published("reply.requested")
    assert ReplyRequested.model_validate_json(value).personal.text == ANSWER["text"]


async def test_a_colleagues_reply_is_shown_before_a_second_one_leaves(
    agent: httpx.AsyncClient,
    colleague: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    published: Published,
) -> None:
    await project(routed(CONTACT))
    mine, theirs = [await open_form(who, CASE, f"{CASE}/reply") for who in (agent, colleague)]
    assert (await colleague.post(f"{CASE}/reply", data=theirs | ANSWER | {"text": "C’est fait."})).status_code == 303
    refused = await agent.post(f"{CASE}/reply", data=mine | ANSWER, headers={"accept-language": "en"})

    assert refused.status_code == 409
    changes = refused.text.split('id="changes"')[1].split("</section>")[0]
    assert "C’est fait." in changes
    assert "Claude Exemple" in changes
    assert "Send anyway" in refused.text
    assert len(await published("reply.requested")) == 1


async def test_a_case_that_a_colleague_took_is_not_answered_unawares(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published, colleague: httpx.AsyncClient
) -> None:
    await project(routed(CONTACT))
    form = await open_form(agent, CASE, f"{CASE}/reply")
    await colleague.post(f"{CASE}/take", data=await open_form(colleague, CASE, f"{CASE}/take"))
    refused = await agent.post(f"{CASE}/reply", data=form | ANSWER)

    assert refused.status_code == 409
    assert "Claude Exemple a pris le dossier." in refused.text.split('id="changes"')[1].split("</section>")[0]
    assert not await published("reply.requested")


@pytest.mark.parametrize(
    ("action", "more"), [("take", {}), ("close", {}), ("transfer", {"to": "etat-civil", "reason": "Un acte."})]
)
async def test_no_act_rests_on_what_the_agent_has_not_seen(
    agent: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    published: Published,
    action: str,
    more: dict[str, str],
) -> None:
    await project(routed(CONTACT))
    form = await open_form(agent, CASE, f"{CASE}/{action}")
    await project(A_LATER_MESSAGE)
    events = await published("case.updated")
    refused = await agent.post(f"{CASE}/{action}", data=form | more | {"text": ANSWER["text"]})

    assert refused.status_code == 409
    assert "Rien n’est fait" in refused.text
    assert "En fait le trou est bouché." in refused.text.split('id="changes"')[1].split("</section>")[0]
    assert ANSWER["text"] in refused.text
    assert await published("case.updated") == events
    assert not await published("transfer.requested")

    again = await open_form(agent, refused.text, f"{CASE}/{action}") | more
    assert [(await agent.post(f"{CASE}/{action}", data=again)).status_code for _ in range(2)] == [303, 303]


async def test_two_who_take_a_case_at_once_see_who_was_first(
    agent: httpx.AsyncClient, colleague: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(CONTACT))
    mine, theirs = [await open_form(who, CASE, f"{CASE}/take") for who in (agent, colleague)]
    assert (await colleague.post(f"{CASE}/take", data=theirs)).status_code == 303
    refused = await agent.post(f"{CASE}/take", data=mine)
    assert refused.status_code == 409
    assert "Claude Exemple a pris le dossier." in refused.text.split('id="changes"')[1].split("</section>")[0]


async def test_the_text_of_an_answer_to_a_case_that_left_is_given_back(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published
) -> None:
    await project(routed(CONTACT))
    form = await open_form(agent, CASE, f"{CASE}/reply")
    left = ConversationArrived(
        conversation_id=CONVERSATION, sequence=2, reference=CONTACT.reference, from_department="voirie",
        to_department="etat-civil", reason="C'est un acte.", at=AN_INSTANT,
    )  # fmt: skip
    await project(left)
    gone = await agent.post(f"{CASE}/reply", data=form | ANSWER)

    assert gone.status_code == 410
    assert ANSWER["text"] in gone.text
    assert "Votre texte n’a pas été envoyé" in gone.text
    assert not await published("reply.requested")


async def test_a_program_says_which_version_it_answers(
    agent: httpx.AsyncClient, project: Project, published: Published
) -> None:
    await project(routed(CONTACT))
    headers = {"authorization": "Bearer a token for tests only"}
    who = {"agent": "Dominique Exemple", "department": "voirie"}
    read = await agent.get(f"/api/v1{CASE}", params={"department": "voirie"}, headers=headers)
    seen = headers | {"if-match": read.headers["etag"]}
    await project(A_LATER_MESSAGE)

    body = who | {"text": "Une équipe passera jeudi."}
    refused = await agent.post(f"/api/v1{CASE}/reply", json=body, headers=seen)
    assert (refused.status_code, refused.json()["detail"]) == (412, "case_changed")
    assert not await published("reply.requested")
    for wrong in ("x", '"1"', "W/" + seen["if-match"]):
        assert (
            await agent.post(f"/api/v1{CASE}/reply", json=body, headers=headers | {"if-match": wrong})
        ).status_code == 412
    now = await agent.get(f"/api/v1{CASE}", params={"department": "voirie"}, headers=headers)
    sent = await agent.post(f"/api/v1{CASE}/reply", json=body, headers=headers | {"if-match": now.headers["etag"]})
    assert sent.status_code == 200
    assert sent.headers["etag"] != now.headers["etag"]


async def test_a_delivery_report_changes_nothing_that_an_answer_depends_on(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(CONTACT, decided_at=AN_INSTANT + timedelta(seconds=1)))
    form = await open_form(agent, CASE, f"{CASE}/reply")
    await project(routed(CONTACT))  # published a second time

    assert (await agent.post(f"{CASE}/reply", data=form | ANSWER)).status_code == 303
