"""Facts about batches for the print shop: each letter leaves once, with a manifest."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import replace as replace_fields
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.notifier.tests.parts import MakeReply, Notifier

from parvis.common.contract.contact import ContactPoint
from parvis.notifier.consume.print_batches import PrintBatches
from parvis.notifier.decide.print_batch import build_manifest, country_of, is_batch_due
from parvis.notifier.models.letter import ManifestLetter, UnbatchedLetters
from parvis.notifier.render.letter import count_pages
from parvis.notifier.send import post
from parvis.notifier.send.post import gather_batch, publish_batch

PARIS = ZoneInfo("Europe/Paris")
CUT = time(17, 30)
MORNING = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
EVENING = datetime(2026, 11, 23, 16, 31, tzinfo=UTC)  # 17:31 in Paris


def test_the_group_of_the_folder_reads_the_letters_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        letter = a_letter(1)
        post._write_file(tmp_path, letter.file_name, b"%PDF")  # pyright: ignore[reportPrivateUsage]
        assert gather_batch(tmp_path, "b", [letter]) == [letter]
        publish_batch(tmp_path, "b", {"manifest.csv": b"x"})
    finally:
        os.umask(before)
    files = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "b").iterdir()}
    assert set(files.values()) == {0o640}
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o770


@pytest.mark.parametrize(
    ("count", "since", "now", "due"),
    [
        (0, None, EVENING, False),
        (1, MORNING, EVENING - timedelta(minutes=2), False),
        (1, MORNING, EVENING, True),
        (1, EVENING, EVENING + timedelta(hours=3), False),
        (1, EVENING, EVENING + timedelta(days=1), True),
        (1, EVENING - timedelta(days=9), MORNING, True),
        (500, MORNING, MORNING, True),
    ],
)
def test_a_batch_is_due_at_its_hour_or_when_there_is_enough(
    count: int, since: datetime | None, now: datetime, *, due: bool
) -> None:
    assert is_batch_due(UnbatchedLetters(count, since), now, at=CUT, zone=PARIS, most=500) is due


@pytest.mark.parametrize("day", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)])
def test_on_the_days_when_the_clocks_change_there_is_one_batch(day: datetime) -> None:
    since = day - timedelta(hours=1)
    dues = [
        is_batch_due(UnbatchedLetters(1, since), day + timedelta(minutes=m), at=CUT, zone=PARIS, most=500)
        for m in range(0, 1440, 10)
    ]
    assert dues == sorted(dues), "once due it stays due"
    first = day + timedelta(minutes=10 * dues.index(True))
    assert (first.astimezone(PARIS).hour, first.astimezone(PARIS).minute) == (17, 30)


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("Zoé Z\n12 rue X\n99999 VILLE", "FR"),
        ("Zoé Z\nF-99999 Ville", "FR"),
        ("Zoé Z\n1000 BRUXELLES\nBelgique", "BE"),
        ("Zoé Z\n1000 BRUXELLES\nBELGIQUE", "BE"),
        ("Zoé Z\nOslo\nNorvège", "NO"),
        ("Zoé Z\nVaduz\nLiechtenstein", "LIECHTENSTEIN"),
        ("", ""),
    ],
)
def test_the_country_is_read_from_the_last_line(address: str, country: str) -> None:
    assert country_of(address) == country


def a_letter(number: int, **changes: Any) -> ManifestLetter:
    values: dict[str, Any] = {
        "delivery_id": f"d{number}", "file_name": f"{number}.pdf", "sha256": hashlib.sha256(f"{number}".encode()).hexdigest(),
        "size_bytes": 1, "pages": 2, "country": "FR", "reference": "P-7F3K-2Q9X-M4TC", "written_at": MORNING,
    }  # fmt: skip
    return ManifestLetter(**(values | changes))


@given(st.text(max_size=30))
def test_both_manifests_hold_the_same_rows_and_no_formula(country: str) -> None:
    written = build_manifest("batch-2026-11-23-1", MORNING, [a_letter(1, country=country), a_letter(2)])
    manifest = json.loads(written["manifest.json"])
    rows = list(csv.DictReader(io.StringIO(written["manifest.csv"].decode(), newline="")))
    assert (manifest["count"], manifest["pages"], manifest["letters"][1]["file"]) == (2, 4, "2.pdf")
    assert [row["sha256"] for row in rows] == [letter["sha256"] for letter in manifest["letters"]]
    assert not manifest["letters"][0]["country"].startswith(("=", "+", "-", "@"))


# --- the folder alone, and where it breaks off


def write(folder: Path, *numbers: int) -> list[ManifestLetter]:
    for number in numbers:
        (folder / f"{number}.pdf").write_bytes(f"{number}".encode())
    return [a_letter(number) for number in numbers]


@pytest.mark.parametrize("breaks_at", ["first move", "second move", "manifest", "appearing", "after it appeared"])
@pytest.mark.parametrize("is_taken", [False, True])
def test_after_any_interruption_each_letter_leaves_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks_at: str, *, is_taken: bool
) -> None:
    letters = write(tmp_path, 1, 2)
    replace, moves = (
        Path.replace,
        {"first move": 0, "second move": 1, "manifest": 2, "appearing": 4, "after it appeared": 5},
    )
    left = [moves[breaks_at]]

    def breaking(path: Path, target: Path) -> Path:
        if left[0] == 0:
            raise OSError(5, "the power is gone")
        left[0] -= 1
        return replace(path, target)

    def make() -> None:
        if gather_batch(tmp_path, "b", letters) is not None:
            publish_batch(tmp_path, "b", {"manifest.json": b"{}", "manifest.csv": b"x"})

    monkeypatch.setattr(Path, "replace", breaking)
    if breaks_at == "after it appeared":
        make()
    else:
        with pytest.raises(OSError, match="power"):
            make()
        assert not (tmp_path / "b").exists(), "a batch appears whole or not at all"
    monkeypatch.setattr(Path, "replace", replace)
    taken = tmp_path / "elsewhere"
    if is_taken and (tmp_path / "b").exists():
        (tmp_path / "b").rename(taken)
    make()
    shown = taken if taken.exists() else tmp_path / "b"
    assert sorted(path.name for path in shown.iterdir()) == ["1.pdf", "2.pdf", "manifest.csv", "manifest.json"]
    assert not list(tmp_path.glob("*.pdf"))
    assert taken.exists() != (tmp_path / "b").exists()


# --- with the ledger


@pytest.fixture
def a_printing(notifier: Notifier) -> Callable[..., PrintBatches]:
    """The batches as `app` builds them, at another hour or with another number of letters."""

    def made(at: datetime = EVENING, most: int = 500) -> PrintBatches:
        return replace_fields(notifier.parts.print_batches(), at=CUT, most=most, clock=lambda: at)

    return made


def home(number: int = 1) -> tuple[ContactPoint, ...]:
    return (ContactPoint(kind="post", value=f"Mme Céleste EXEMPLE\n{number} rue de la Fontaine\n99999 VILLE-EXEMPLE"),)


async def written(notifier: Notifier, make_reply: MakeReply, count: int) -> None:
    async with notifier.running():
        await notifier.take(*(make_reply(str(n), channel="post", points=home(n)) for n in range(count)))
        await notifier.until(lambda states: states == ["accepted"] * count)


@pytest.mark.stack
async def test_the_days_letters_become_one_folder_with_its_manifest(
    notifier: Notifier, make_reply: MakeReply, a_printing: Callable[..., PrintBatches]
) -> None:
    printing = a_printing(at=datetime.now(UTC) + timedelta(days=1))
    await written(notifier, make_reply, 3)
    (name,) = await printing.make_due_batches()
    folder = notifier.letters / name
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["batch"], manifest["count"], manifest["pages"]) == (name, 3, 3)
    for letter in manifest["letters"]:
        pdf = (folder / letter["file"]).read_bytes()
        assert hashlib.sha256(pdf).hexdigest() == letter["sha256"]
        assert letter["country"] == "FR"
    assert [path.name for path in notifier.letters.iterdir()] == [name]
    assert await printing.make_due_batches() == []


async def stages(notifier: Notifier) -> list[tuple[str, str | None]]:
    return [(row.state, row.stage) for row in await notifier.rows()]


@pytest.mark.stack
async def test_a_letter_is_to_print_then_handed_over_then_posted_and_never_delivered_without_proof(
    notifier: Notifier, make_reply: MakeReply, a_printing: Callable[..., PrintBatches]
) -> None:
    printing = a_printing(at=datetime.now(UTC) + timedelta(days=1))
    await written(notifier, make_reply, 1)
    assert await stages(notifier) == [("accepted", "to-print")]
    (name,) = await printing.make_due_batches()
    assert await stages(notifier) == [("accepted", "handed-over")]
    (notifier.letters / name).rename(notifier.folder / "at the print shop")
    (notifier.letters / f"{name}.posted").touch()
    for _ in range(2):
        await printing.make_due_batches()
    assert await stages(notifier) == [("accepted", "posted")]
    assert list(notifier.letters.iterdir()) == []
    async with notifier.running():
        pass  # until everything is published
    assert [(update.state, update.stage) for update in notifier.published][-2:] == [
        ("accepted", "handed-over"), ("accepted", "posted"),
    ]  # fmt: skip


@pytest.mark.stack
async def test_a_word_about_an_unknown_batch_is_forgotten_and_stops_nothing(
    notifier: Notifier, make_reply: MakeReply, a_printing: Callable[..., PrintBatches]
) -> None:
    await written(notifier, make_reply, 1)
    (notifier.letters / "batch-2020-01-01-1.posted").touch()
    await a_printing().make_due_batches(at_once=True)
    assert await stages(notifier) == [("accepted", "handed-over")]
    assert not list(notifier.letters.glob("*.posted"))


@pytest.mark.stack
async def test_a_letter_that_was_taken_away_is_not_written_again(
    notifier: Notifier, make_reply: MakeReply, a_printing: Callable[..., PrintBatches]
) -> None:
    printing = a_printing()
    await written(notifier, make_reply, 1)
    (name,) = await printing.make_due_batches(at_once=True)
    (notifier.letters / name).rename(notifier.folder / "at the print shop")
    async with notifier.database.transaction() as connection:  # we died before the outcome was stored
        await connection.exec_driver_sql("update notifier.delivery set state = 'planned', send_at = now()")
    async with notifier.running():
        await notifier.until(lambda states: states == ["accepted"])
    assert list(notifier.letters.iterdir()) == []
    assert await printing.make_due_batches(at_once=True) == []


@pytest.mark.stack
async def test_a_batch_that_broke_off_is_finished_by_the_next_round(
    notifier: Notifier, make_reply: MakeReply, a_printing: Callable[..., PrintBatches], monkeypatch: pytest.MonkeyPatch
) -> None:
    printing = a_printing()
    await written(notifier, make_reply, 2)
    publishing = post.publish_batch
    monkeypatch.setattr("parvis.notifier.consume.print_batches.publish_batch", _fail)
    with pytest.raises(Exception, match="letters folder cannot be written"):
        await printing.make_due_batches(at_once=True)
    monkeypatch.setattr("parvis.notifier.consume.print_batches.publish_batch", publishing)
    await written_later(notifier, make_reply)
    first, second = await printing.make_due_batches(at_once=True)
    counts = [json.loads((notifier.letters / name / "manifest.json").read_text())["count"] for name in (first, second)]
    assert counts == [2, 1]
    assert (first[:-1], first[-1], second[-1]) == (second[:-1], "1", "2")


def _fail(*_: object) -> None:
    raise OSError(28, "no space left")


async def written_later(notifier: Notifier, make_reply: MakeReply) -> None:
    async with notifier.running():
        await notifier.take(make_reply("later", channel="post", points=home(9)))
        await notifier.until(lambda states: states == ["accepted"] * 3)


@pytest.mark.stack
async def test_many_letters_make_several_batches(
    notifier: Notifier, make_reply: MakeReply, a_printing: Callable[..., PrintBatches]
) -> None:
    printing = a_printing(most=2)
    await written(notifier, make_reply, 5)
    names = await printing.make_due_batches(at_once=True)
    counts = [json.loads((notifier.letters / name / "manifest.json").read_text())["count"] for name in names]
    assert counts == [2, 2, 1]


def test_pages_are_counted_as_a_reader_counts_them(make_reply: MakeReply, renderer: Any, addressing: Any) -> None:
    for paragraphs in (1, 40, 120):
        text = "\n\n".join(["Une phrase de plus. " * 8] * paragraphs)
        reply = make_reply(channel="post", points=home(), personal={"text": text})
        pdf = renderer.render(reply, addressing.build_delivery(reply, addressing.choose(reply, {})), MORNING).content
        document: Any = pypdfium2.PdfDocument(pdf)
        assert count_pages(pdf) == len(document)
        document.close()
