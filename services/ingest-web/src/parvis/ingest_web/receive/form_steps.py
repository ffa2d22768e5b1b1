"""A filled form in over HTTP, contact.received into the outbox; yes (303) once it is committed, and never before."""

import hashlib
import math
import time
from dataclasses import replace

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from parvis.common.contract.errors import Unavailable
from parvis.common.contract.references import make_reference
from parvis.common.runtime import metrics
from parvis.common.runtime.logs import logger
from parvis.common.town.forms import FileField
from parvis.common.town.models import Procedure
from parvis.ingest_web.models.form import (
    CHANGE,
    PROOF,
    REVIEW,
    REVIEWED,
    STEP,
    TOKEN,
    WAITED,
    FilledForm,
    FormProblem,
    Submission,
)
from parvis.ingest_web.parse.submitted_form import parse_form
from parvis.ingest_web.receive.form_submission import FormDependencies, FormSubmission, is_ours, shown
from parvis.ingest_web.receive.uploaded_files import files_of, keep, kept_of
from parvis.ingest_web.render import form_html, form_to_contact
from parvis.ingest_web.store.submission_store import SubmissionSource
from parvis.ingest_web.store.submissions import read_submission
from parvis.ingest_web.verify.client_address import client_network
from parvis.web.forms import SubmittedForm, read_form
from parvis.web.http import allow_scripts, negotiate_language

log = logger()

# Not `no-store`: going back must find the page with its one-time token and the typed text.
_KEPT_BY_HISTORY = {"cache-control": "private, no-cache"}
_MOST_FILES = 20


def routes(door: FormDependencies) -> APIRouter:
    """The one address that takes forms.

    Gives:  303 to /merci/<reference>, once the submission and its event are committed; Kafka may be away.
            200 with the page of the last look, or the form again, when a button asked for it.
            422 with the page and its problems; 409 when an already sent form comes back changed; 413 when its files are
            too heavy; 429 when its source sends too many; 503 when PostgreSQL or the blobs do not answer. What was typed
            stands in each of these pages.
            403 from another site's page; 404; 400 and 413 for what is no form of ours.
    Retry:  the same token with the same content is the same 303, however often and at once.
    """
    router = APIRouter(include_in_schema=False)

    @router.post("/demarches/{slug}")
    async def send(request: Request, slug: str) -> Response:
        procedure = _procedure(door, request, slug)
        form = await _form(door, request, procedure)
        try:
            return await _receive(door, request, await _sent(door, request, procedure, form))
        finally:
            await form.close()

    @router.post("/demarches/{slug}/fichiers")
    async def upload(request: Request, slug: str) -> Response:
        """Files sent ahead by a script that shows their progress: stored, and given back under our seal."""
        procedure = _procedure(door, request, slug)
        form = await _form(door, request, procedure)
        try:
            return await _upload(door, request, await _sent(door, request, procedure, form))
        finally:
            await form.close()

    _ = send, upload
    return router


def _procedure(door: FormDependencies, request: Request, slug: str) -> Procedure:
    procedure = door.town_config.procedure(slug)
    if not procedure:
        raise HTTPException(404)
    if not door.tokens.is_same_origin(request):
        metrics.contacts_refused.labels("web", "another-site").inc()
        raise HTTPException(403)
    return procedure


async def _form(door: FormDependencies, request: Request, procedure: Procedure) -> SubmittedForm:
    largest_mb = max((f.largest_mb for f in procedure.form if isinstance(f, FileField)), default=0)
    return await read_form(
        request,
        largest_bytes=door.largest_request_mb * 1_000_000,
        largest_file_bytes=largest_mb * 1_000_000,
        most_files=_MOST_FILES,
    )


async def _sent(door: FormDependencies, request: Request, procedure: Procedure, form: SubmittedForm) -> FormSubmission:
    fields = [f for f in procedure.form if isinstance(f, FileField)]
    return FormSubmission(
        procedure=procedure,
        language=negotiate_language(request, door.pages.town),
        form=form,
        once=door.tokens.read_one_time_token(form.first(TOKEN), procedure.slug),
        chosen=await files_of(fields, form),
        stored=kept_of(door, fields, form),
    )


async def _receive(door: FormDependencies, request: Request, sent: FormSubmission) -> Response:
    began, now = time.monotonic(), door.pages.clock()
    filled = parse_form(sent.procedure, sent.form.fields, sent.files(), today=door.pages.dates.today(now))
    if not is_ours(door, sent):
        return _again(door, sent, status=422, notice="stale", fresh=True)
    if sent.form.is_too_heavy:
        return _again(door, sent, status=413, notice="too_heavy")
    step = sent.form.first(STEP)
    wait_s = _wait_s(door, request, sent, is_sent=step != CHANGE)
    if wait_s:
        metrics.contacts_refused.labels("web", "too-many").inc()
        log.warning("contact.slowed", channel="web", procedure=sent.procedure.slug, wait_s=round(wait_s))
        return _busy(door, sent, wait_s)
    try:
        if step == CHANGE or filled.problems:
            await keep(door, sent, filled)
            return _again(door, sent, status=200 if step == CHANGE else 422, filled=None if step == CHANGE else filled)
        return await _whole(door, sent, filled, began, is_last=step != REVIEW)
    except Unavailable as error:
        log.warning("contact.postponed", channel="web", procedure=sent.procedure.slug, reason=str(error))
        metrics.contacts_refused.labels("web", "unavailable").inc()
        return _again(door, sent, status=503, notice="unavailable")


async def _whole(
    door: FormDependencies, sent: FormSubmission, filled: FilledForm, began: float, *, is_last: bool
) -> Response:
    """A form without problems: its receipt if it was sent before, a last look, or acceptance."""
    assert sent.once  # noqa: S101 (checked by the caller)
    now = door.pages.clock()
    row, content = _row(door, sent, filled)
    is_stale = door.tokens.is_expired(sent.once, now)
    if is_stale or not is_last:
        async with door.store.database.transaction() as connection:
            earlier = await read_submission(connection, row.seed)
        if earlier:
            return _answer(door, sent, row, earlier)
    if is_stale:
        return _again(door, sent, status=422, notice="stale", fresh=True)
    await keep(door, sent, filled)
    if not is_last:
        return _review(door, sent, filled)
    if door.tokens.is_too_quick(sent.once, now) and not door.tokens.was_reviewed(
        sent.form.first(REVIEWED), sent.once, now
    ):
        return _review(door, sent, filled, status=422, notice="hasty")
    return await _accept(door, sent, filled, row, content, began)


def _row(door: FormDependencies, sent: FormSubmission, filled: FilledForm) -> tuple[Submission, bytes]:
    assert sent.once  # noqa: S101 (checked by the caller)
    content = form_to_contact.canonical_bytes(sent.procedure, sent.form.typed, filled.files)
    row = Submission(
        seed=sent.once.seed,
        contact_id=sent.contact_id,
        reference=make_reference(sent.contact_id),
        procedure=sent.procedure.slug,
        reply_channel=filled.reply.channel if filled.reply else None,
        content_hash=hashlib.sha256(content).hexdigest(),
        received_at=door.pages.clock(),
    )
    return row, content


async def _accept(
    door: FormDependencies, sent: FormSubmission, filled: FilledForm, row: Submission, content: bytes, began: float
) -> Response:
    ours = [
        await door.store.copy_to_contact(sent.contact_id, next(k for k in sent.stored[name] if k.file == file))
        for name, several in filled.files.items()
        for file in several
    ]
    sending = SubmissionSource(sent.procedure, sent.language, content)
    stored = await door.store.record_submission(row, filled, [kept.claim for kept in ours], sending)
    if stored is row:
        metrics.contacts_received.labels("web").inc()
        metrics.accept_seconds.labels("web").observe(time.monotonic() - began)
        log.info(
            "contact.received",
            contact_id=sent.contact_id,
            channel="web",
            procedure=row.procedure,
            size_bytes=len(content),
        )
    return _answer(door, sent, row, stored)


def _answer(door: FormDependencies, sent: FormSubmission, row: Submission, stored: Submission) -> Response:
    """The receipt; for a form that was sent before and comes back changed, the page and a question."""
    if stored.content_hash != row.content_hash:
        return _again(door, sent, status=409, notice="changed", fresh=True, reference=stored.reference)
    return RedirectResponse(f"/merci/{stored.reference}?lang={sent.language}", status_code=303)


def _wait_s(door: FormDependencies, request: Request, sent: FormSubmission, *, is_sent: bool) -> float:
    """Files wait at every step, whatever was worked: each is stored, and the form may never be sent."""
    client = client_network(request, door.trusted_proxies)
    wait_s = _files_wait_s(door, sent, client)
    if wait_s or not is_sent:
        return wait_s
    wait_s = door.rate_limit.wait_s(client)
    if not wait_s or not door.rate_limit.requires_work or not sent.once:
        return wait_s
    proof, waited = sent.form.first(PROOF), sent.form.first(WAITED)
    return 0.0 if door.tokens.has_proof_of_work(sent.once, proof, waited, door.pages.clock()) else wait_s


def _files_wait_s(door: FormDependencies, sent: FormSubmission, client: str | None) -> float:
    return door.rate_limit.files_wait_s(client, sum(map(len, sent.chosen.values())))


def _busy(door: FormDependencies, sent: FormSubmission, wait_s: float) -> Response:
    """Come back in a moment; where the browser can run a script, a sum of its own takes the place of waiting."""
    assert sent.once  # noqa: S101 (checked by the caller)
    if not door.rate_limit.requires_work:
        return _again(door, sent, status=429, notice="busy", wait_s=math.ceil(wait_s))
    return _again(
        door, sent, status=429, notice="work", wait_s=round(door.tokens.wait_instead.total_seconds()) + 1,
        work_bits=door.tokens.work_bits, waited=door.tokens.make_wait_token(sent.once, door.pages.clock()),
    )  # fmt: skip


def _review(
    door: FormDependencies, sent: FormSubmission, filled: FilledForm, *, status: int = 200, notice: str | None = None
) -> Response:
    assert sent.once  # noqa: S101 (checked by the caller)
    seen = door.tokens.make_review_token(sent.once, door.pages.clock())
    page = form_html.review_page(door.pages, shown(door, sent, seen=seen, notice=notice), filled)
    return HTMLResponse(page, status_code=status, headers=_KEPT_BY_HISTORY)


def _again(
    door: FormDependencies,
    sent: FormSubmission,
    *,
    status: int,
    filled: FilledForm | None = None,
    fresh: bool = False,
    **more: object,
) -> Response:
    """The page once more, with all that was typed; `fresh` gives it a new one-time token."""
    problems = filled.problems if filled else dict[str, FormProblem]()
    seen = shown(door, sent, fresh=fresh, problems=problems, **more)
    headers = allow_scripts(_KEPT_BY_HISTORY)
    if status in {429, 503}:
        headers["retry-after"] = str(seen.wait_s or 30)
    return HTMLResponse(form_html.form_page(door.pages, seen), status_code=status, headers=headers)


async def _upload(door: FormDependencies, request: Request, sent: FormSubmission) -> Response:
    """Files of a form that is not sent yet. Each is answered by its seal; one that is no good by the sentence about it."""
    if not is_ours(door, sent) or sent.form.is_too_heavy:
        raise HTTPException(413 if sent.form.is_too_heavy else 403)
    if _files_wait_s(door, sent, client_network(request, door.trusted_proxies)):
        raise HTTPException(429)
    today = door.pages.dates.today(door.pages.clock())
    filled = parse_form(sent.procedure, sent.form.fields, sent.files(), today=today)
    wrong = {name: problem for name, problem in filled.problems.items() if sent.chosen.get(name)}
    if wrong:
        said = [form_html.problem_sentence(door.pages, problem, sent.language) for problem in wrong.values()]
        return JSONResponse({"problems": said}, status_code=422)
    sent = replace(sent, kept={})
    await keep(door, sent, filled)
    sealed = {name: [door.tokens.seal_file(k) for k in several] for name, several in sent.stored.items()}
    return JSONResponse({"kept": sealed}, status_code=201)
