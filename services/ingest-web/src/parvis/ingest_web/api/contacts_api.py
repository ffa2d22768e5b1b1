"""Accepts contacts from programs as JSON: 201 once committed, and the same answer to every retry."""

import hashlib
import hmac
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from parvis.common.contract.contact import ContactId, make_contact_id
from parvis.common.contract.references import make_reference
from parvis.common.runtime import metrics
from parvis.common.runtime.logs import logger
from parvis.common.town.models import Procedure
from parvis.ingest_web.api.contact_body import (
    file_contents,
    form_fields,
    form_problems,
    parse_body,
    read_body,
    read_idempotency_key,
)
from parvis.ingest_web.api.problems import ApiProblem, ContactApiDependencies, install_problem_handlers, town_today
from parvis.ingest_web.models.form import AcceptedForm, FormFile, StoredFile
from parvis.ingest_web.parse.submitted_form import parse_form
from parvis.ingest_web.render import form_to_contact, openapi
from parvis.ingest_web.store.submission_store import SubmissionOrigin
from parvis.ingest_web.store.submissions import lock_key, read_submission

log = logger()


def application(context: ContactApiDependencies) -> FastAPI:
    """Build the API below /api.

    Gives:  201 with the reference, once the contact and its event are committed; Kafka may be down.
            Problems (RFC 9457) in the caller's language: 400, 401, 404, 405, 409, 413, 415, 422, 429, 503.
    Retry:  the same Idempotency-Key with the same body gives the same answer; with another body 422; while the first is in progress 409.
    Source: draft-ietf-httpapi-idempotency-key-header-07.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)

    @app.post("/contacts")
    async def send(request: Request) -> Response:
        return await _send(context, request)

    @app.get("/openapi.json")
    async def describe() -> Response:
        if not context.keys:
            raise HTTPException(404)
        return JSONResponse(openapi.openapi(context.town_config, town_today(context)))

    _ = send, describe
    install_problem_handlers(app, context)
    return app


async def _send(context: ContactApiDependencies, request: Request) -> Response:
    began = time.monotonic()
    integrator = _integrator(context, request)
    contact_id = make_contact_id("web", f"api:{integrator}", read_idempotency_key(request))
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiProblem(415, "not-json")
    async with context.body_slots:
        body = await read_body(request, context.largest_request_bytes)
        document, procedure = parse_body(context, request, body)
        row = AcceptedForm(
            seed=contact_id, contact_id=contact_id, reference=make_reference(contact_id), procedure=procedure.slug,
            reply_channel=document.get("reply", {}).get("channel"),
            content_hash=hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest(),
            received_at=context.pages.clock(),
        )  # fmt: skip
        async with exclusive(context, row) as earlier:
            stored = earlier or await _accept(context, request, integrator, procedure, document, row)
    if stored.content_hash != row.content_hash:
        raise ApiProblem(422, "key-reused")
    if stored is row:
        metrics.contacts_received.labels("web").inc()
        metrics.accept_seconds.labels("web").observe(time.monotonic() - began)
        log.info(
            "contact.received", contact_id=contact_id, channel="web", procedure=procedure.slug, size_bytes=len(body)
        )
    return JSONResponse(_answer(context, stored), 201)


def _integrator(context: ContactApiDependencies, request: Request) -> str:
    """The name of the integrator whose key was sent.

    Raises: as `find_integrator`; HTTPException 404, when no keys are configured and the API is off.
    """
    if not context.keys:
        raise HTTPException(404)
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return find_integrator(context, key if scheme.lower() == "bearer" else "")


def find_integrator(context: ContactApiDependencies, key: str) -> str:
    """The name of the integrator with this key. Raises: ApiProblem, for an unknown key or too many requests."""
    digest = hashlib.sha256(key.strip().encode("utf-8", "replace")).hexdigest()
    names = [name for name, known in context.keys.items() if hmac.compare_digest(known, digest)]
    if not names:
        metrics.contacts_refused.labels("web", "unknown-key").inc()
        raise ApiProblem(401, "no-access")
    wait_s = context.sources.seconds_until_allowed(names[0])
    if wait_s:
        metrics.contacts_refused.labels("web", "too-many").inc()
        raise ApiProblem(429, "too-many", wait_s=int(wait_s) + 1)
    return names[0]


@asynccontextmanager
async def exclusive(context: ContactApiDependencies, row: AcceptedForm) -> AsyncGenerator[AcceptedForm | None]:
    """Lock the key, and give the submission committed under it before. None if there is none.

    PostgreSQL releases the lock with our connection, so that a crash leaves no key locked.
    """
    async with context.store.database.transaction() as connection:
        if not await lock_key(connection, row.contact_id):
            raise ApiProblem(409, "in-flight", wait_s=1)
        yield await read_submission(connection, row.seed)


async def _accept(
    context: ContactApiDependencies,
    request: Request,
    integrator: str,
    procedure: Procedure,
    document: dict[str, Any],
    row: AcceptedForm,
) -> AcceptedForm:
    contents = file_contents(procedure, document)
    fields = form_fields(document)
    today = town_today(context)
    files = {name: [f for f, _ in in_field] for name, in_field in contents.items()}
    filled = parse_form(procedure, fields, files, today=today, own=context.town_config.own_addresses)
    if filled.problems:
        raise form_problems(context, request, filled)
    contact_id = ContactId(row.contact_id)
    stored = [
        await _store_file(context, contact_id, file, content)
        for in_field in contents.values()
        for file, content in in_field
    ]
    source = SubmissionOrigin(
        procedure=procedure,
        language=document.get("language") or context.pages.town.languages[0],
        original=form_to_contact.canonical_bytes(procedure, form_fields(document, str), filled.files),
        evidence=f"handed in by the integrator {integrator}, no proof of who asked",
    )
    return await context.store.record_submission(row, filled, [file.claim for file in stored], source)


async def _store_file(
    context: ContactApiDependencies, contact_id: ContactId, file: FormFile, content: bytes
) -> StoredFile:
    async def read_content() -> bytes:
        return content

    return await context.store.store_file(contact_id, file, read_content)


def _answer(context: ContactApiDependencies, stored: AcceptedForm) -> dict[str, str]:
    return {
        "contact_id": stored.contact_id,
        "reference": stored.reference,
        "procedure": stored.procedure,
        "received_at": stored.received_at.isoformat(timespec="milliseconds"),
        "receipt": f"{context.public_url.rstrip('/')}/merci/{stored.reference}",
    }
