"""Receives a form over HTTP: shows it again, shows it for review, or accepts it (303 once it is committed)."""

import hashlib
import math
import time
from dataclasses import replace

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from parvis.common.contract.errors import Poison, Rejected, Unavailable
from parvis.common.contract.references import make_reference
from parvis.common.runtime import metrics
from parvis.common.runtime.logs import logger
from parvis.common.town.form_fields import FileField
from parvis.common.town.models import Procedure
from parvis.ingest_web.models.form import CHANGE, REVIEW, REVIEWED, STEP, TOKEN, AcceptedForm, FilledForm, FormProblem
from parvis.ingest_web.parse.submitted_form import parse_form
from parvis.ingest_web.receive.form_in_progress import (
    FormDependencies,
    FormInProgress,
    build_form_view,
    has_valid_tokens,
)
from parvis.ingest_web.receive.submission_rate import seconds_until_allowed, seconds_until_files_allowed
from parvis.ingest_web.receive.uploaded_files import read_chosen_files, read_stored_files, store_chosen_files
from parvis.ingest_web.render import form_html, form_to_contact
from parvis.ingest_web.store.submission_store import SubmissionOrigin
from parvis.ingest_web.store.submissions import read_submission
from parvis.ingest_web.verify.client_address import client_network
from parvis.web.form_parsing import SubmittedForm, read_form
from parvis.web.language_negotiation import negotiate_language
from parvis.web.security_headers import allow_scripts

log = logger()

# Not `no-store`: the back button must show the page with its one-time token and the typed text.
_KEPT_BY_HISTORY = {"cache-control": "private, no-cache"}
_MAX_FILES = 20


def routes(dependencies: FormDependencies) -> APIRouter:
    """The routes that receive forms and their files.

    Gives:  303 to /merci/<reference>, once the submission and its event are committed; Kafka may be down.
            200 with the review page, or the form again, when a button asked for it.
            422 with the page and its problems; 409 when a form is sent again with changes; 413 when its files are too
            large; 429 when its source sends too many; 503 when PostgreSQL or the blob store does not answer. Each of these
            pages contains the typed text.
            403 for a form from another site's page; 404; 400 and 413 for a body that is not one of our forms.
    Retry:  the same token with the same content gives the same 303, also for concurrent requests.
    """
    router = APIRouter(include_in_schema=False)

    @router.post("/demarches/{slug}")
    async def send(request: Request, slug: str) -> Response:
        procedure = _procedure(dependencies, request, slug)
        form = await _form(dependencies, request, procedure)
        try:
            return await _receive(dependencies, await _read_submission(dependencies, request, procedure, form))
        finally:
            await form.close()

    @router.post("/demarches/{slug}/fichiers")
    async def upload(request: Request, slug: str) -> Response:
        """Store files that a script uploads in advance, and answer with their seals."""
        procedure = _procedure(dependencies, request, slug)
        form = await _form(dependencies, request, procedure)
        try:
            return await _upload(dependencies, await _read_submission(dependencies, request, procedure, form))
        finally:
            await form.close()

    _ = send, upload
    return router


def _procedure(dependencies: FormDependencies, request: Request, slug: str) -> Procedure:
    procedure = dependencies.town_config.procedure(slug)
    if not procedure:
        raise HTTPException(404)
    if not dependencies.tokens.is_same_origin(request):
        metrics.contacts_refused.labels("web", "another-site").inc()
        raise HTTPException(403)
    return procedure


async def _form(dependencies: FormDependencies, request: Request, procedure: Procedure) -> SubmittedForm:
    largest_mb = max((f.largest_mb for f in procedure.form if isinstance(f, FileField)), default=0)
    return await read_form(
        request,
        largest_bytes=dependencies.largest_request_mb * 1_000_000,
        largest_file_bytes=largest_mb * 1_000_000,
        most_files=_MAX_FILES,
    )


async def _read_submission(
    dependencies: FormDependencies, request: Request, procedure: Procedure, form: SubmittedForm
) -> FormInProgress:
    fields = [f for f in procedure.form if isinstance(f, FileField)]
    return FormInProgress(
        procedure=procedure,
        language=negotiate_language(request, dependencies.pages.town),
        form=form,
        once=dependencies.tokens.read_one_time_token(form.first(TOKEN), procedure.slug),
        chosen=await read_chosen_files(fields, form),
        stored=read_stored_files(dependencies, fields, form),
        client=client_network(request, dependencies.trusted_proxies),
    )


async def _receive(dependencies: FormDependencies, submission: FormInProgress) -> Response:
    began, now = time.monotonic(), dependencies.pages.clock()
    today, own = dependencies.pages.dates.today(now), dependencies.town_config.own_addresses
    filled = parse_form(submission.procedure, submission.form.fields, submission.files(), today=today, own=own)
    if not has_valid_tokens(dependencies, submission):
        return _form_again(dependencies, submission, status=422, notice="stale", fresh=True)
    if submission.form.is_too_heavy or submission.form.has_no_room:
        metrics.contacts_refused.labels("web", "too-large" if submission.form.is_too_heavy else "no-room").inc()
        status, notice = (413, "too_heavy") if submission.form.is_too_heavy else (503, "unavailable")
        return _form_again(dependencies, submission, status=status, notice=notice)
    step = submission.form.first(STEP)
    wait_s = seconds_until_allowed(dependencies, submission, is_sent=step != CHANGE)
    if wait_s:
        metrics.contacts_refused.labels("web", "too-many").inc()
        log.warning("source.rate_limited", channel="web", procedure=submission.procedure.slug, wait_s=round(wait_s))
        return _show_wait(dependencies, submission, wait_s)
    try:
        if step == CHANGE or filled.problems:
            await store_chosen_files(dependencies, submission, filled)
            return _form_again(
                dependencies,
                submission,
                status=200 if step == CHANGE else 422,
                filled=None if step == CHANGE else filled,
            )
        return await _review_or_accept(dependencies, submission, filled, began, is_last=step != REVIEW)
    except (Poison, Rejected, Unavailable) as error:
        return _refuse(dependencies, submission, error)


def _refuse(dependencies: FormDependencies, submission: FormInProgress, error: Exception) -> Response:
    """Show the form again, with its text: it could not be stored now, or is more than its topic can ever take."""
    if isinstance(error, Rejected):
        metrics.contacts_refused.labels("web", "too-large").inc()
        return _form_again(dependencies, submission, status=413, notice="too_much")
    if isinstance(error, Poison):  # shown again for days: the sweep has deleted its files, to be chosen again
        submission.stored.clear()
    log.warning("intake.deferred", channel="web", procedure=submission.procedure.slug, reason=str(error))
    metrics.contacts_refused.labels("web", "unavailable").inc()
    return _form_again(dependencies, submission, status=503, notice="unavailable")


async def _review_or_accept(
    dependencies: FormDependencies, submission: FormInProgress, filled: FilledForm, began: float, *, is_last: bool
) -> Response:
    """Answer a form without problems: its receipt if it was sent before, else the review page, or accept it."""
    assert submission.once  # noqa: S101 (checked by the caller)
    now = dependencies.pages.clock()
    row, content = _submission_row(dependencies, submission, filled)
    is_stale = dependencies.tokens.is_expired(submission.once, now)
    if is_stale or not is_last:
        async with dependencies.store.database.transaction() as connection:
            earlier = await read_submission(connection, row.seed)
        if earlier:
            return _answer(dependencies, submission, row, earlier)
    if is_stale:
        return _form_again(dependencies, submission, status=422, notice="stale", fresh=True)
    await store_chosen_files(dependencies, submission, filled)
    if not is_last:
        return _review(dependencies, submission, filled)
    if dependencies.tokens.is_too_quick(submission.once, now) and not dependencies.tokens.was_reviewed(
        submission.form.first(REVIEWED), submission.once, now
    ):
        return _review(dependencies, submission, filled, status=422, notice="hasty")
    return await _accept(dependencies, submission, filled, row, content, began)


def _submission_row(
    dependencies: FormDependencies, submission: FormInProgress, filled: FilledForm
) -> tuple[AcceptedForm, bytes]:
    assert submission.once  # noqa: S101 (checked by the caller)
    content = form_to_contact.canonical_bytes(submission.procedure, submission.form.typed, filled.files)
    row = AcceptedForm(
        seed=submission.once.seed,
        contact_id=submission.contact_id,
        reference=make_reference(submission.contact_id),
        procedure=submission.procedure.slug,
        reply_channel=filled.reply.channel if filled.reply else None,
        content_hash=hashlib.sha256(content).hexdigest(),
        received_at=dependencies.pages.clock(),
    )
    return row, content


async def _accept(
    dependencies: FormDependencies,
    submission: FormInProgress,
    filled: FilledForm,
    row: AcceptedForm,
    content: bytes,
    began: float,
) -> Response:
    claims = [
        (await dependencies.store.copy_to_contact(submission.contact_id, stored_file)).claim
        for name, files in filled.files.items()
        for file in files
        for stored_file in [next(known for known in submission.stored[name] if known.file == file)]
    ]
    source = SubmissionOrigin(submission.procedure, submission.language, content, sources=submission.sources)
    stored = await dependencies.store.record_submission(row, filled, claims, source)
    if stored is row:
        metrics.contacts_received.labels("web").inc()
        metrics.accept_seconds.labels("web").observe(time.monotonic() - began)
        log.info(
            "contact.received", contact_id=submission.contact_id, channel="web", procedure=row.procedure,
            size_bytes=len(content),
        )  # fmt: skip
    return _answer(dependencies, submission, row, stored)


def _answer(
    dependencies: FormDependencies, submission: FormInProgress, row: AcceptedForm, stored: AcceptedForm
) -> Response:
    """Redirect to the receipt; if the form was sent before with other content, ask whether to send it as well."""
    if stored.content_hash != row.content_hash:
        return _form_again(
            dependencies, submission, status=409, notice="changed", fresh=True, reference=stored.reference
        )
    return RedirectResponse(f"/merci/{stored.reference}?lang={submission.language}", status_code=303)


def _show_wait(dependencies: FormDependencies, submission: FormInProgress, wait_s: float) -> Response:
    """Ask to wait. Under attack the browser may compute a proof of work instead, if it runs scripts."""
    assert submission.once  # noqa: S101 (checked by the caller)
    if not dependencies.rate_limit.requires_work:
        return _form_again(dependencies, submission, status=429, notice="busy", wait_s=math.ceil(wait_s))
    return _form_again(
        dependencies, submission, status=429, notice="work", wait_s=round(dependencies.tokens.wait_instead.total_seconds()) + 1,
        work_bits=dependencies.tokens.work_bits, waited=dependencies.tokens.make_wait_token(submission.once, dependencies.pages.clock()),
    )  # fmt: skip


def _review(
    dependencies: FormDependencies,
    submission: FormInProgress,
    filled: FilledForm,
    *,
    status: int = 200,
    notice: str | None = None,
) -> Response:
    assert submission.once  # noqa: S101 (checked by the caller)
    reviewed = dependencies.tokens.make_review_token(submission.once, dependencies.pages.clock())
    page = form_html.review_page(
        dependencies.pages, build_form_view(dependencies, submission, reviewed=reviewed, notice=notice), filled
    )
    return HTMLResponse(page, status_code=status, headers=_KEPT_BY_HISTORY)


def _form_again(
    dependencies: FormDependencies,
    submission: FormInProgress,
    *,
    status: int,
    filled: FilledForm | None = None,
    fresh: bool = False,
    **more: object,
) -> Response:
    """Show the form again with everything that was typed; `fresh` gives it a new one-time token."""
    problems = filled.problems if filled else dict[str, FormProblem]()
    view = build_form_view(dependencies, submission, fresh=fresh, problems=problems, **more)
    headers = allow_scripts(_KEPT_BY_HISTORY)
    if status in {429, 503}:
        headers["retry-after"] = str(view.wait_s or 30)
    return HTMLResponse(form_html.form_page(dependencies.pages, view), status_code=status, headers=headers)


async def _upload(dependencies: FormDependencies, submission: FormInProgress) -> Response:
    """Store the files of an unsent form, and answer with their seals, or with a sentence for each problem."""
    if not has_valid_tokens(dependencies, submission) or submission.form.is_too_heavy:
        raise HTTPException(413 if submission.form.is_too_heavy else 403)
    if submission.form.has_no_room:
        raise HTTPException(503)
    if seconds_until_files_allowed(dependencies, submission):
        raise HTTPException(429)
    today = dependencies.pages.dates.today(dependencies.pages.clock())
    filled = parse_form(submission.procedure, submission.form.fields, submission.files(), today=today)
    wrong = {name: problem for name, problem in filled.problems.items() if submission.chosen.get(name)}
    if wrong:
        pages, language = dependencies.pages, submission.language
        sentences = [form_html.problem_sentence(pages, problem, language) for problem in wrong.values()]
        return JSONResponse({"problems": sentences}, status_code=422)
    submission = replace(submission, stored={})
    await store_chosen_files(dependencies, submission, filled)
    seal = dependencies.tokens.seal_file
    sealed = {name: [seal(stored_file) for stored_file in files] for name, files in submission.stored.items()}
    return JSONResponse({"kept": sealed}, status_code=201)
