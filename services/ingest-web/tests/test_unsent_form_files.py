"""Tests that files of forms which nobody sent are deleted, and no others."""

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from parvis.common.contract.contact import ContactId, ContactReceived, make_contact_id
from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.ingest_web.store.unsent_form_files import forget_unsent, remember_unsent, sweep_unsent

pytestmark = pytest.mark.asyncio(loop_scope="module")
LIFE = timedelta(days=3)
ROADS: dict[str, Any] = {"problem": "pothole", "place": "1 rue Haute", "details": "Un trou.", "reply-channel": "none"}


def contact(name: str) -> ContactId:
    return make_contact_id("web", "unsent", name)


def get_stuck(folder: Path) -> None:
    """Make a folder that lists itself, which nobody can delete file by file."""
    (folder / "loop").mkdir(parents=True)
    (folder / "loop" / "again").symlink_to(folder / "loop")


async def age(browser: Any) -> None:
    async with browser.database.transaction() as connection:
        await connection.execute(text("update ingest_web.unsent_form set stored_at = now() - interval '4 days'"))


async def test_files_of_unsent_forms_are_swept_and_those_of_sent_forms_stay(browser: Any) -> None:
    blobs = BlobStore(load_settings(SharedSettings).blobs_url)
    for name in ("old", "mail"):
        await blobs.put(contact(name), f"a file of {name}".encode(), "text/plain")
    await remember_unsent(browser.database, contact("old"))
    assert (await browser.send("road-report", ROADS)).status_code == 303
    sent = await browser.the_contact()
    await remember_unsent(browser.database, sent.contact_id)  # a second click after the form was sent
    await age(browser)
    await remember_unsent(browser.database, contact("new"))
    await blobs.put(contact("new"), b"a file of new", "text/plain")

    assert await sweep_unsent(browser.database, blobs, LIFE) == 1

    left = browser.stored()
    assert b"a file of old" not in left
    assert b"a file of mail" in left
    assert b"a file of new" in left
    await blobs.get(sent.original)
    assert await sweep_unsent(browser.database, blobs, LIFE) == 0


async def test_a_form_sent_during_the_sweep_keeps_its_files(browser: Any) -> None:
    blobs = BlobStore(load_settings(SharedSettings).blobs_url)
    claim = await blobs.put(contact("racing"), b"a racing file", "text/plain")
    await remember_unsent(browser.database, contact("racing"))
    await age(browser)
    async with browser.database.transaction() as connection:  # the form's commit, not finished yet
        await forget_unsent(connection, contact("racing"))
        assert await sweep_unsent(browser.database, blobs, LIFE) == 0
    assert await sweep_unsent(browser.database, blobs, LIFE) == 0
    assert await blobs.get(claim) == b"a racing file"


async def test_a_form_being_sent_and_a_sweep_at_once_lose_no_file(browser: Any) -> None:
    blobs = BlobStore(load_settings(SharedSettings).blobs_url)
    for _ in range(5):
        inputs = await browser.open("road-report") | ROADS
        await asyncio.gather(
            browser.send("road-report", inputs), *(sweep_unsent(browser.database, blobs, LIFE) for _ in range(3))
        )
    for value in await browser.events():
        await blobs.get(ContactReceived.model_validate_json(value).original)


async def test_files_that_cannot_be_deleted_stop_no_other_sweep(browser: Any) -> None:
    url = load_settings(SharedSettings).blobs_url
    blobs = BlobStore(url)
    for name in ("stuck", "free"):
        await remember_unsent(browser.database, contact(name))
    free = await blobs.put(contact("free"), b"a free file", "text/plain")
    stuck = Path(url.removeprefix("file://")) / contact("stuck")
    get_stuck(stuck)
    await age(browser)
    async with browser.database.transaction() as connection:
        await connection.execute(
            text("update ingest_web.unsent_form set stored_at = stored_at - interval '1 day' where contact_id = :id"),
            {"id": contact("stuck")},
        )

    with pytest.raises(Unavailable):
        await sweep_unsent(browser.database, blobs, LIFE)

    with pytest.raises(Poison):
        await blobs.get(free)
    shutil.rmtree(stuck)
    assert await sweep_unsent(browser.database, blobs, LIFE) == 0, "it is tried again in a day"
    await age(browser)
    assert await sweep_unsent(browser.database, blobs, LIFE) == 1


async def test_many_forms_whose_files_cannot_be_deleted_do_not_stand_before_the_others(browser: Any) -> None:
    url = load_settings(SharedSettings).blobs_url
    blobs = BlobStore(url)
    folders = [Path(url.removeprefix("file://")) / contact(f"stuck-{number}") for number in range(25)]
    await remember_unsent(browser.database, contact("behind"))
    behind = await blobs.put(contact("behind"), b"a file behind them", "text/plain")
    await age(browser)
    for number, folder in enumerate(folders):
        get_stuck(folder)
        await remember_unsent(browser.database, contact(f"stuck-{number}"))
    async with browser.database.transaction() as connection:
        await connection.execute(
            text("update ingest_web.unsent_form set stored_at = now() - interval '5 days' where contact_id != :id"),
            {"id": contact("behind")},
        )

    for _ in range(2):
        with pytest.raises(Unavailable):
            await sweep_unsent(browser.database, blobs, LIFE)

    with pytest.raises(Poison):
        await blobs.get(behind)
    for folder in folders:
        shutil.rmtree(folder)
    await age(browser)
    assert await sweep_unsent(browser.database, blobs, LIFE) == len(folders)
