"""A filled form in over HTTP, contact.received into the outbox; yes (303) once it is committed, and never before."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from parvis.common import metrics
from parvis.common.blobs import Blobs
from parvis.common.bus import record
from parvis.common.contact import ClaimCheck, ContactId, contact_id, kafka_key, reference_of
from parvis.common.database import Database
from parvis.common.directory import Directory, FileField, Procedure
from parvis.common.errors import Unavailable
from parvis.common.logs import logger
from parvis.common.outbox import Outbox
from parvis.common.topics import CONTACT_RECEIVED
from parvis.ingest_web import render
from parvis.ingest_web.parse import media_type_of, parse
from parvis.ingest_web.store import record_submission, submission_of
from parvis.ingest_web.tables import CSRF, KEPT, TOKEN, File, Filled, Submission
from parvis.ingest_web.verify import Guard, Kept
from parvis.web.http import Form, Upload, language_of, read_form
from parvis.web.pages import Pages
from parvis.web.tokens import Once

log = logger()


@dataclass(frozen=True)
class Door:
    """What the door stands on."""

    directory: Directory
    pages: Pages
    guard: Guard
    database: Database
    outbox: Outbox
    blobs: Blobs
    topic_prefix: str
    hashing_key: bytes
    largest_request_bytes: int


@dataclass
class Sent:
    """One form on its way: what came, and what is kept of it for the page if it cannot be accepted."""

    procedure: Procedure
    language: str
    form: Form
    files: dict[str, list[File]]
    kept: dict[str, list[Kept]]
    once: Once | None


def routes(door: Door) -> APIRouter:
    """The one address that takes forms.

    Gives:  303 to /merci/<reference>, once the submission and its event are committed; Kafka may be away.
            422 with the page and its problems; 409 when an already sent form comes back changed; 503 when PostgreSQL
            or the blobs do not answer. What was typed stands in each of these pages.
            403 from another site's page; 404; 413.
    Retry:  the same token with the same content is the same 303, however often and at once.
    """
    router = APIRouter()

    @router.post("/demarches/{slug}")
    async def send(request: Request, slug: str) -> Response:
        procedure = door.directory.procedure(slug)
        if not procedure:
            raise HTTPException(404)
        if not door.guard.comes_from_our_page(request):
            metrics.contacts_refused.labels("web", "another site").inc()
            raise HTTPException(403)
        return await _receive(door, request, procedure)

    _ = send
    return router


async def _receive(door: Door, request: Request, procedure: Procedure) -> Response:
    began, now = time.monotonic(), door.pages.clock()
    sent = await _read(door, request, procedure)
    filled = parse(procedure, sent.form.fields, _files(sent), today=door.pages.dates.today(now))
    if not sent.once or not door.guard.is_csrf(sent.form.first(CSRF), procedure.slug, now):
        return _again(door, sent, status=422, notice="stale", fresh=True)
    try:
        if filled.problems:
            await _keep_files(door, sent, filled)
            return _again(door, sent, status=422, filled=filled)
        return await _accept(door, sent, filled, began)
    except Unavailable as error:
        log.warning("contact.postponed", channel="web", procedure=procedure.slug, reason=str(error))
        metrics.contacts_refused.labels("web", "unavailable").inc()
        return _again(door, sent, status=503, notice="unavailable")


async def _read(door: Door, request: Request, procedure: Procedure) -> Sent:
    fields = [f for f in procedure.form if isinstance(f, FileField)]
    form = await read_form(
        request,
        largest_bytes=door.largest_request_bytes,
        largest_file_bytes=max((f.largest_mb for f in fields), default=0) * 1_000_000,
        most_files=20,
    )
    kept = {f.name: door.guard.unseal(form.fields.get(KEPT + f.name, ())) for f in fields}
    return Sent(
        procedure=procedure,
        language=language_of(request, door.pages.town),
        form=form,
        files={f.name: [_file(upload) for upload in form.files.get(f.name, ())] for f in fields},
        kept={name: several for name, several in kept.items() if several},
        once=door.guard.read_once(form.first(TOKEN), procedure.slug),
    )


def _file(upload: Upload) -> File:
    digest = hashlib.sha256(upload.content).hexdigest()
    name = upload.name.replace("\\", "/").rpartition("/")[2][-100:] or "document"
    return File(name, upload.content, upload.size_bytes, media_type_of(upload.content), digest)


def _files(sent: Sent) -> Mapping[str, Sequence[File]]:
    """What goes with the form: the files just chosen, else those kept from an earlier try."""
    kept = {name: [k.file for k in several] for name, several in sent.kept.items()}
    return kept | {name: several for name, several in sent.files.items() if several}


async def _accept(door: Door, sent: Sent, filled: Filled, began: float) -> Response:
    assert sent.once  # noqa: S101 (checked by the caller)
    now = door.pages.clock()
    made = contact_id("web", sent.procedure.slug, sent.once.seed)
    content = render.original(sent.procedure, sent.form.fields, filled.files)
    row = Submission(
        seed=sent.once.seed,
        contact_id=made,
        reference=reference_of(made),
        procedure=sent.procedure.slug,
        reply_channel=filled.reply.channel if filled.reply else None,
        content_hash=hashlib.sha256(content).hexdigest(),
        received_at=now,
    )
    if door.guard.is_stale(sent.once, now):
        async with door.database.begin() as connection:
            earlier = await submission_of(connection, row.seed)
        return (
            _answer(door, sent, row, earlier) if earlier else _again(door, sent, status=422, notice="stale", fresh=True)
        )
    stored = await _record(door, sent, filled, row, content)
    if stored is row:
        metrics.contacts_received.labels("web").inc()
        metrics.accept_seconds.labels("web").observe(time.monotonic() - began)
        log.info("contact.received", contact_id=made, channel="web", procedure=row.procedure, size_bytes=len(content))
    return _answer(door, sent, row, stored)


async def _record(door: Door, sent: Sent, filled: Filled, row: Submission, content: bytes) -> Submission:
    """Blobs first, then the row and its event in one transaction."""
    made = ContactId(row.contact_id)
    whole = render.text(filled, sent.procedure, sent.language)
    accepted = render.Accepted(
        contact_id=made,
        received_at=row.received_at,
        recorded_at=door.pages.clock(),
        original=await door.blobs.put(made, content, "application/json"),
        attachments=tuple([await _store(door, sent, made, f) for several in filled.files.values() for f in several]),
        text_overflow=None if render.is_fitting(whole) else await door.blobs.put(made, whole.encode(), "text/plain"),
    )
    contact = render.contact_of(filled, sent.procedure, sent.language, accepted, hashing_key=door.hashing_key)
    event = record(
        contact, topic=CONTACT_RECEIVED.full_name(door.topic_prefix), key=kafka_key(contact),
        event_id=made, source="ingest-web", subject=made,
    )  # fmt: skip
    async with door.database.begin() as connection:
        stored = await record_submission(connection, row)
        if stored is row:
            await door.outbox.add(connection, event)
    door.outbox.kick()
    return stored


async def _store(door: Door, sent: Sent, made: ContactId, file: File) -> ClaimCheck:
    """A file as a blob of this contact; one kept from an earlier try may lie there already, or under another id."""
    kept = next((k for several in sent.kept.values() for k in several if k.file is file), None)
    if kept is None:
        return await door.blobs.put(made, file.content, file.media_type)
    if kept.claim.blob.startswith(f"{made}/"):
        return kept.claim
    return await door.blobs.put(made, await door.blobs.get(kept.claim), file.media_type)


async def _keep_files(door: Door, sent: Sent, filled: Filled) -> None:
    """Store the good files of a form that has other problems: nobody should choose them twice."""
    assert sent.once  # noqa: S101 (checked by the caller)
    made = contact_id("web", sent.procedure.slug, sent.once.seed)
    for name, files in sent.files.items():
        if files and name in filled.files:
            sent.kept[name] = [Kept(f, await door.blobs.put(made, f.content, f.media_type)) for f in files]


def _answer(door: Door, sent: Sent, row: Submission, stored: Submission) -> Response:
    """The receipt; for a form that was sent before and comes back changed, the page and a question."""
    if stored.content_hash != row.content_hash:
        return _again(door, sent, status=409, notice="changed", fresh=True, reference=stored.reference)
    return RedirectResponse(f"/merci/{stored.reference}?lang={sent.language}", status_code=303)


def _again(
    door: Door, sent: Sent, *, status: int, filled: Filled | None = None, notice: str | None = None,
    fresh: bool = False, reference: str | None = None,
) -> Response:  # fmt: skip
    """The page once more, with all that was typed; `fresh` gives it a new one-time token."""
    now = door.pages.clock()
    slug = sent.procedure.slug
    shown = render.Shown(
        procedure=sent.procedure,
        department=door.directory.departments[door.directory.current(sent.procedure.department)],
        language=sent.language,
        once=door.guard.new_once(slug, now) if fresh or not sent.once else sent.form.first(TOKEN),
        csrf=door.guard.csrf(slug, now),
        fields=sent.form.fields,
        problems=filled.problems if filled else {},
        kept={name: [(k.file.name, door.guard.seal(k)) for k in several] for name, several in sent.kept.items()},
        notice=notice,
        reference=reference,
    )
    headers = {"retry-after": "30"} if status == 503 else {}
    return HTMLResponse(render.form_page(door.pages, shown), status_code=status, headers=headers)
