"""Tests that a program attaches files to an answer as the page does: bounded, screened, with the draft of its agent until the answer leaves."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from services.desk.tests.conftest import open_form
from services.desk.tests.test_api_rights import add_program
from services.desk.tests.test_pages import CASE, CONTACT, routed
from services.desk.tests.test_reply_files import NOTE, PLAN, files, requested

from parvis.common.contract.contact import ScanVerdict
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.http_body import LimitBody
from parvis.common.runtime.service import Service
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.desk.models.accounts import RoleGrant

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
WHO = {"agent": "Dominique Exemple", "department": "voirie"}
PATH = f"/api/v1{CASE}/files"
REPLY = WHO | {"text": "Voici le plan.", "channel": "email", "address": "c@citoyens.example"}


@pytest_asyncio.fixture(loop_scope="module")
async def api(service: Service, database: Database) -> AsyncGenerator[httpx.AsyncClient]:
    """A program with a right of its own, before the limits that the running desk has."""
    token = await add_program(database, RoleGrant("agent", "voirie"))
    app = LimitBody(service.app, service.largest_body_bytes)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8130", headers=headers) as http:
        yield http


async def attach(api: httpx.AsyncClient, *named: tuple[str, bytes], key: str | None = None) -> httpx.Response:
    headers = {"idempotency-key": key} if key else {}
    return await api.post(PATH, params=WHO, files=files(*named), headers=headers)


async def test_files_are_kept_with_the_agents_draft_and_leave_with_the_reply(
    agent: httpx.AsyncClient, api: httpx.AsyncClient, project: Project, published: Published, blobs: BlobStore
) -> None:
    await project(routed(CONTACT))
    kept = [await attach(api, ("../..\\Plan\u202e du quartier.PDF", PLAN[1]), NOTE, key="one") for _ in range(2)]
    assert [answer.status_code for answer in kept] == [200, 200]
    plan, note = kept[1].json()
    assert (plan["name"], plan["media_type"], plan["pages"]) == ("Plan du quartier.PDF", "application/pdf", 1)
    assert (await api.get(f"/api/v1{CASE}/draft", params=WHO)).json()["files"] == [plan, note]
    assert ">Plan du quartier.PDF</a>" in (await agent.get(CASE)).text  # the agent finds them on the page
    assert (await api.get(f"{PATH}/{plan['file_id']}", params=WHO)).content == PLAN[1]

    assert (await api.delete(f"{PATH}/{note['file_id']}", params=WHO)).status_code == 204
    body = REPLY | {"file_ids": [plan["file_id"]]}
    sent = [await api.post(f"/api/v1{CASE}/reply", json=body, headers={"idempotency-key": "two"}) for _ in range(2)]
    assert [answer.status_code for answer in sent] == [200, 200]
    (reply,) = await requested(published)
    assert reply.personal.file_names == ("Plan du quartier.PDF",)
    assert await blobs.get(reply.attachments[0]) == PLAN[1]
    assert [file["name"] for file in sent[0].json()["replies"][0]["files"]] == ["Plan du quartier.PDF"]
    assert (await api.get(f"/api/v1{CASE}/draft", params=WHO)).json()["files"] == []
    assert (await api.get(f"{PATH}/{plan['file_id']}", params=WHO)).content == PLAN[1]


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ([("programme.pdf", b"MZ\x90\x00" + bytes(200))], "file_kind"),
        ([("plan.pdf", b"%PDF-1.7\n" + bytes(200))], "file_unreadable"),
        ([("vide.pdf", b"")], "file_empty"),
        ([("gros.txt", b"x" * 10_000_001)], "file_too_large"),
        ([("x", b"")], "file_empty"),
    ],
)
async def test_what_may_not_leave_is_named(
    api: httpx.AsyncClient, project: Project, named: list[tuple[str, bytes]], why: str
) -> None:
    await project(routed(CONTACT))
    answer = await attach(api, *named)
    assert (answer.status_code, answer.json()["detail"]) == (409, why)


async def test_all_files_together_are_bounded_as_well(api: httpx.AsyncClient, project: Project) -> None:
    await project(routed(CONTACT))
    answers = [await attach(api, (f"{n}.txt", b"%d" % n * 8_000_000)) for n in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 409]
    assert answers[2].json()["detail"] == "files_too_large"


async def test_a_body_beyond_all_limits_is_refused_before_it_is_read(api: httpx.AsyncClient, project: Project) -> None:
    await project(routed(CONTACT))
    boundary = "multipart/form-data; boundary=x"
    huge = {"content-length": "21000000", "content-type": boundary}
    assert (await api.post(PATH, params=WHO, content=b"x", headers=huge)).status_code == 413

    def endless() -> Iterator[bytes]:
        yield b'--x\r\ncontent-disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'
        yield from (b"y" * 1_000_000 for _ in range(30))

    async def pieces() -> AsyncGenerator[bytes]:
        for piece in endless():
            yield piece

    answer = await api.post(PATH, params=WHO, content=pieces(), headers={"content-type": boundary})
    assert answer.status_code == 413
    # Everywhere else a body is as small as before.
    note = {"text": "x" * 300_000}
    assert (await api.post(f"/api/v1{CASE}/note", json=WHO | note)).status_code == 413


async def test_a_page_takes_a_file_as_large_as_it_says(
    agent: httpx.AsyncClient, service: Service, project: Project
) -> None:
    await project(routed(CONTACT))
    transport = httpx.ASGITransport(LimitBody(service.app, service.largest_body_bytes), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=agent.base_url, cookies=agent.cookies) as browser:
        form = await open_form(browser, CASE, f"{CASE}/attach")
        sent = files(("grand.txt", b"mot " * 2_500_000))
        assert (await browser.post(f"{CASE}/attach", data=form, files=sent)).status_code == 303
        assert ">grand.txt</a>" in (await browser.get(CASE)).text


async def test_only_the_draft_of_the_agent_that_is_named_and_of_the_own_department_has_the_files(
    api: httpx.AsyncClient, project: Project, published: Published
) -> None:
    await project(routed(CONTACT))
    (plan,) = (await attach(api, PLAN)).json()
    other = WHO | {"agent": "Lou Exemple"}
    assert (await api.get(f"{PATH}/{plan['file_id']}", params=other)).status_code == 404
    await api.delete(f"{PATH}/{plan['file_id']}", params=other)
    refused = await api.post(f"/api/v1{CASE}/reply", json=REPLY | other | {"file_ids": [plan["file_id"]]})
    assert (refused.status_code, refused.json()["detail"]) == (409, "file_gone")
    elsewhere = WHO | {"department": "etat-civil"}
    for method, path in (("POST", PATH), ("GET", f"{PATH}/{plan['file_id']}"), ("DELETE", f"{PATH}/{plan['file_id']}")):
        assert (await api.request(method, path, params=elsewhere)).status_code == 404
    assert (await api.get(f"{PATH}/{plan['file_id']}", params=WHO)).content == PLAN[1]
    assert not await published("reply.requested")


async def test_a_file_is_scanned_before_it_is_given_out(
    api: httpx.AsyncClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    await project(routed(CONTACT))
    verdict: ScanVerdict = "pending"

    async def scan(*_: Any, **__: Any) -> ScanVerdict:
        return verdict

    monkeypatch.setattr(AntivirusScanner, "scan", scan)
    (plan,) = (await attach(api, PLAN)).json()
    assert plan["scan"] == "pending"
    waiting = await api.get(f"{PATH}/{plan['file_id']}", params=WHO)
    assert (waiting.status_code, waiting.json()["detail"]) == (503, "file_not_scanned")
    verdict = "infected"
    infected = await api.get(f"{PATH}/{plan['file_id']}", params=WHO)
    assert (infected.status_code, infected.json()["detail"]) == (409, "file_infected")
    refused = await attach(api, ("autre.txt", b"Autre."))
    assert (refused.status_code, refused.json()["detail"]) == (409, "file_infected")
