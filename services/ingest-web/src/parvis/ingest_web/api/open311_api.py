"""Serves Open311 GeoReport v2: what can be reported, and reports, which become contacts as forms do."""

import hashlib
import time
from functools import partial
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException as AnyHTTPException

from parvis.common.contract.contact import make_contact_id
from parvis.common.contract.errors import Rejected, Unavailable
from parvis.common.contract.references import make_reference
from parvis.common.runtime import metrics
from parvis.common.runtime.logs import logger
from parvis.ingest_web.api.contact_body import read_idempotency_key
from parvis.ingest_web.api.contacts_api import exclusive, find_integrator
from parvis.ingest_web.api.problems import ApiProblem, ContactApiDependencies, town_today
from parvis.ingest_web.models.form import AcceptedForm, FilledForm
from parvis.ingest_web.models.report_form import ReportForm
from parvis.ingest_web.parse.open311_request import report_form, request_to_form
from parvis.ingest_web.parse.submitted_form import parse_form
from parvis.ingest_web.render import form_html, form_to_contact, open311_documents
from parvis.ingest_web.store.submission_store import SubmissionOrigin
from parvis.web.form_parsing import SubmittedForm, read_form
from parvis.web.language_negotiation import negotiate_language

log = logger()
_LARGEST_BYTES = 256 * 1024
_STATUS_TITLES = {404: "api.nothing", 405: "api.method", 413: "api.too-large"}


class Open311Error(Exception):
    """A status, and a sentence for each thing that is wrong."""

    def __init__(self, status: int, *sentences: str) -> None:
        super().__init__(status)
        self.status, self.sentences = status, sentences


def application(context: ContactApiDependencies) -> FastAPI:
    """Build the endpoint below /open311/v2.

    Gives:  404 for everything without configured keys. POST requests: 201 once the contact and its event are committed; Kafka may be
            down. Errors in the format of the address: 400, 403 (key), 404 (service or jurisdiction), 413, 429, 503.
    Retry:  the same Idempotency-Key, or without one the same request on the same day, is the same report.
    Source: wiki.open311.org/GeoReport_v2. GET requests is not offered: this service knows no status.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    forms = {slug: form for slug, one in context.town_config.procedures.items() if (form := report_form(one))}
    answer = partial(_answer, context)

    @app.get("/discovery.{form}")
    async def discover(request: Request, form: str) -> Response:
        _check(context, request, form)
        url = f"{context.public_url.rstrip('/')}/open311/v2/"
        return answer(request, form, "discovery", open311_documents.discovery(url, context.public_url))

    @app.get("/services.{form}")
    async def list_services(request: Request, form: str) -> Response:
        _check(context, request, form)
        language = negotiate_language(request, context.pages.town)
        return answer(
            request,
            form,
            "services",
            open311_documents.service_list(list(forms.values()), context.town_config, language),
        )

    @app.get("/services/{code}.{form}")
    async def define_service(request: Request, code: str, form: str) -> Response:
        _check(context, request, form)
        if code not in forms:
            raise Open311Error(404, _sentence(context, request, "open311.no_service"))
        language = negotiate_language(request, context.pages.town)
        definition = open311_documents.service_definition(
            forms[code], language, context.pages.translate("open311.yes", language)
        )
        return answer(request, form, "service_definition", definition)

    @app.post("/requests.{form}")
    async def send(request: Request, form: str) -> Response:
        _check(context, request, form)
        async with context.body_slots:
            submitted = await read_form(request, largest_bytes=_LARGEST_BYTES)
            stored = await _accept(context, request, forms, submitted)
        notice = _sentence(context, request, "open311.notice", reference=stored.reference)
        created = {"service_request_id": stored.reference, "service_notice": notice, "account_id": None}
        return answer(request, form, "service_requests", [created], 201)

    _ = discover, list_services, define_service, send
    _install_error_handlers(app, context)
    return app


def _check(context: ContactApiDependencies, request: Request, form: str, jurisdiction: str = "") -> None:
    """Raises: HTTPException 404, without keys or for another format; Open311Error 404, for another town."""
    if not context.keys or form not in open311_documents.MEDIA_TYPES:
        raise AnyHTTPException(404)
    asked = (jurisdiction or request.query_params.get("jurisdiction_id", "")).strip().lower()
    own = (urlsplit(context.public_url).hostname or "").removeprefix("www.")
    if asked and asked.removeprefix("www.") != own:
        raise Open311Error(404, _sentence(context, request, "open311.no_jurisdiction", jurisdiction=own))


async def _accept(
    context: ContactApiDependencies, request: Request, forms: dict[str, ReportForm], submitted: SubmittedForm
) -> AcceptedForm:
    began = time.monotonic()
    integrator = _integrator(context, submitted)
    _check(context, request, "json", submitted.first("jurisdiction_id"))
    code = submitted.first("service_code").strip()
    if code not in forms:
        raise Open311Error(404 if code else 400, _sentence(context, request, "open311.no_service"))
    language = negotiate_language(request, context.pages.town)
    filled, original = _read(context, request, forms[code], submitted)
    digest = hashlib.sha256(original).hexdigest()
    key = read_idempotency_key(request) if "idempotency-key" in request.headers else f"{town_today(context)}:{digest}"
    contact_id = make_contact_id("web", f"open311:{integrator}", key)
    row = AcceptedForm(
        seed=contact_id, contact_id=contact_id, reference=make_reference(contact_id), procedure=code,
        reply_channel=filled.reply.channel if filled.reply else None, content_hash=digest, received_at=context.pages.clock(),
    )  # fmt: skip
    evidence = f"handed in by the integrator {integrator} over Open311, no proof of who asked"
    source = SubmissionOrigin(forms[code].procedure, language, original, evidence)
    async with exclusive(context, row) as earlier:
        stored = earlier or await context.store.record_submission(row, filled, [], source)
    if stored.content_hash != digest:
        raise ApiProblem(400, "key-reused")
    if stored is row:
        metrics.contacts_received.labels("web").inc()
        metrics.accept_seconds.labels("web").observe(time.monotonic() - began)
        log.info("contact.received", contact_id=contact_id, channel="web", procedure=code, size_bytes=len(original))
    return stored


def _integrator(context: ContactApiDependencies, submitted: SubmittedForm) -> str:
    try:
        return find_integrator(context, submitted.first("api_key"))
    except ApiProblem as problem:
        raise ApiProblem(403, problem.kind) if problem.status == 401 else problem from None


def _read(
    context: ContactApiDependencies, request: Request, form: ReportForm, submitted: SubmittedForm
) -> tuple[FilledForm, bytes]:
    """The filled form, and its bytes with each character as it was sent. Raises: Open311Error 400."""
    try:
        fields = request_to_form(form, submitted.fields)
        as_sent = request_to_form(form, submitted.typed)
    except Rejected as error:
        raise Open311Error(400, _sentence(context, request, f"open311.{error}")) from None
    filled = parse_form(form.procedure, fields, {}, today=town_today(context), own=context.town_config.own_addresses)
    if filled.problems:
        language = negotiate_language(request, context.pages.town)
        sentences = [
            f"{name}: {form_html.problem_sentence(context.pages, problem, language)}"
            for name, problem in filled.problems.items()
        ]
        raise Open311Error(400, *sentences)
    return filled, form_to_contact.canonical_bytes(form.procedure, as_sent, {})


def _sentence(context: ContactApiDependencies, request: Request, key: str, **values: object) -> str:
    return context.pages.translate(key, negotiate_language(request, context.pages.town), **values)


def _answer(
    context: ContactApiDependencies,
    request: Request,
    form: str,
    root: str,
    document: open311_documents.Document,
    status: int = 200,
) -> Response:
    headers = {"content-language": negotiate_language(request, context.pages.town), "cache-control": "no-store"}
    text = open311_documents.render(root, document, form)
    return Response(text, status, headers, media_type=open311_documents.MEDIA_TYPES[form])


def _install_error_handlers(app: FastAPI, context: ContactApiDependencies) -> None:
    async def explain(request: Request, error: Exception) -> Response:
        wait_s = 0
        match error:
            case Open311Error():
                status, sentences = error.status, list(error.sentences)
            case ApiProblem():
                status, sentences, wait_s = (
                    error.status,
                    [_sentence(context, request, f"api.{error.kind}")],
                    error.wait_s,
                )
            case Unavailable():
                log.warning("intake.deferred", channel="web", reason=str(error))
                status, sentences, wait_s = 503, [_sentence(context, request, "api.unavailable")], 30
            case AnyHTTPException():
                title = _STATUS_TITLES.get(error.status_code, "open311.no_form")
                status, sentences = error.status_code, [_sentence(context, request, title)]
            case _:
                status, sentences = 500, [_sentence(context, request, "api.ours")]
        form = "json" if request.url.path.endswith(".json") else "xml"  # XML is the format that every client reads
        errors: open311_documents.Document = [{"code": status, "description": sentence} for sentence in sentences]
        answer = _answer(context, request, form, "errors", errors, status)
        if wait_s:
            answer.headers["retry-after"] = str(wait_s)
        return answer

    for kind in (Open311Error, ApiProblem, Unavailable, AnyHTTPException, Exception):
        app.add_exception_handler(kind, explain)
