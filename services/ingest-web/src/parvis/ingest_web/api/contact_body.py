"""Parses and validates the JSON body of a contact; errors point at the member that is wrong."""

import asyncio
import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import jsonschema_rs
from fastapi import Request

from parvis.common.files.file_names import safe_file_name
from parvis.common.files.media_types import media_type_of
from parvis.common.town.form_fields import FileField
from parvis.common.town.models import Procedure
from parvis.ingest_web.api.problems import ApiProblem, ContactApiDependencies, town_today
from parvis.ingest_web.models.form import NAME, REPLY, FilledForm, FormFile, reply_address_input
from parvis.ingest_web.render import form_html, json_schema
from parvis.web.language_negotiation import negotiate_language
from parvis.web.strict_json import load_strict_json
from parvis.web.text_cleaning import clean_text

_READ_S = 60.0
# More than the longest form can hold even if its answers were all commas; lists of millions cost gigabytes and block the event loop for seconds.
_MAX_COMMAS = 200_000
_KINDS = ("required", "additionalProperties", "enum", "const", "maxLength", "format", "pattern", "type")


def read_idempotency_key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "").strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not 1 <= len(key) <= 200 or not key.isascii() or not key.isprintable() or any(c in key for c in '" '):
        raise ApiProblem(400, "no-key")
    return key


async def read_body(request: Request, largest_bytes: int) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_READ_S):
            async for part in request.stream():
                body += part
                if len(body) > largest_bytes:
                    raise ApiProblem(413, "too-large")
    except TimeoutError as error:
        raise ApiProblem(400, "body") from error
    return bytes(body)


def parse_body(context: ContactApiDependencies, request: Request, body: bytes) -> tuple[dict[str, Any], Procedure]:
    """The JSON document and its procedure, validated by the schema of that procedure.

    Raises: ApiProblem.
    """
    if body.count(b",") > _MAX_COMMAS:
        raise ApiProblem(400, "body")
    try:
        document = load_strict_json(body)
        json.dumps(document, ensure_ascii=False).encode()  # a lone surrogate is not text
    except (ValueError, RecursionError) as error:
        raise ApiProblem(400, "body") from error
    slug = document.get("procedure") if isinstance(document, dict) else None
    procedure = context.town_config.procedure(slug) if isinstance(slug, str) else None
    if not procedure:
        raise _incomplete(context, request, [("/procedure", "enum")])
    schema = json_schema.request_schema(procedure, context.town_config.town.languages, town_today(context))
    schema["components"] = {"schemas": {"Reply": json_schema.reply_schema()}}
    checker = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    try:
        wrong = [("/" + "/".join(map(str, e.instance_path)), e.kind.name) for e in checker.iter_errors(document)]
    except ValueError as error:  # nested too deeply
        raise ApiProblem(400, "body") from error
    if wrong:
        raise _incomplete(context, request, wrong[:50])
    return document, procedure


def _incomplete(context: ContactApiDependencies, request: Request, wrong: list[tuple[str, str]]) -> ApiProblem:
    language = negotiate_language(request, context.pages.town)
    errors = [
        {
            "pointer": pointer,
            "detail": context.pages.translate(f"api_wrong.{kind if kind in _KINDS else 'other'}", language),
        }
        for pointer, kind in wrong
    ]
    return ApiProblem(422, "incomplete", errors=errors)


def form_fields(document: Mapping[str, Any], clean: Callable[[str], str] = clean_text) -> dict[str, list[str]]:
    """The contact as fields of a form, so that `parse_form` reads both."""
    answers: Mapping[str, Any] = document.get("answers", {})
    fields = {
        name: ["yes" if value is True else clean(value) for value in (answer if isinstance(answer, list) else [answer])]
        for name, answer in answers.items()
        if answer is not False
    }
    fields[NAME] = [clean(document.get("name", ""))]
    reply = document.get("reply")
    if reply:
        address: str | list[str] = reply["address"]
        lines = address if isinstance(address, list) else [address]
        fields[REPLY] = [reply["channel"]]
        fields[reply_address_input(reply["channel"])] = ["\n".join(" ".join(clean(line).split()) for line in lines)]
    return fields


def file_contents(procedure: Procedure, document: Mapping[str, Any]) -> dict[str, list[tuple[FormFile, bytes]]]:
    kinds = {f.name: f for f in procedure.form if isinstance(f, FileField)}
    files: Mapping[str, list[dict[str, str]]] = document.get("files", {})
    return {name: [_content(file) for file in in_field] for name, in_field in files.items() if name in kinds}


def _content(document: Mapping[str, str]) -> tuple[FormFile, bytes]:
    try:
        content = base64.b64decode(document["content"], validate=True)
    except (ValueError, binascii.Error) as error:
        raise ApiProblem(422, "incomplete") from error
    name = safe_file_name(document.get("name", "")) or "document"
    digest = hashlib.sha256(content).hexdigest()
    return FormFile(name, len(content), media_type_of(content, name=name), digest), content


def form_problems(context: ContactApiDependencies, request: Request, filled: FilledForm) -> ApiProblem:
    language = negotiate_language(request, context.pages.town)
    errors = [
        {"pointer": f"/{name}", "detail": form_html.problem_sentence(context.pages, problem, language)}
        for name, problem in filled.problems.items()
    ]
    return ApiProblem(422, "incomplete", errors=errors)
