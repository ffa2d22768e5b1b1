"""Builds the OpenAPI 3.1 document of the API from the town's procedures. Pure; no I/O."""

from datetime import date
from typing import Any

from parvis.common.town.models import TownConfig
from parvis.ingest_web.render.json_schema import Schema, reply_schema, request_schema

PROBLEMS = {
    400: "the Idempotency-Key is missing, or the body is not JSON",
    401: "the integrator's key is missing or unknown",
    409: "a request with the same Idempotency-Key is still in progress",
    413: "the body is too large",
    415: "the body is not application/json, or is compressed",
    422: "the contact is incomplete, or the Idempotency-Key was used for another one",
    429: "too many requests; wait as long as Retry-After says",
    503: "temporarily unavailable; send the same request again with the same key",
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "identifies this contact; a quoted string (draft-ietf-httpapi-idempotency-key-header) or without quotes; "
    "a retry with the same key gives the same answer and creates no second contact",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": '^("[!#-~]{1,198}"|[!#-~]{1,200})$'},
    "example": '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
}


def openapi(town_config: TownConfig, today: date) -> dict[str, Any]:
    """The document. It depends on the procedures, and on `today` if a form limits dates by it."""
    procedures = town_config.procedures.values()
    shapes = {_shape(p.slug): request_schema(p, town_config.town.languages, today) for p in procedures}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{town_config.town.name.get('en') or next(iter(town_config.town.name.values()))}: contacts",
            "version": "1",
            "description": "Submits contacts on behalf of citizens, as the town's web forms do. They get the same service as on every other channel.",
        },
        "security": [{"key": []}],
        "paths": {"/api/contacts": {"post": _post()}, "/api/openapi.json": {"get": _document()}},
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Contact": _one_of(list(shapes), [p.slug for p in procedures]),
                **shapes,
                "Reply": reply_schema(),
                "Accepted": _accepted(),
                "Problem": _problem(),
            },
        },
    }


def _shape(slug: str) -> str:
    return "".join(part.capitalize() for part in slug.split("-"))


def _one_of(names: list[str], slugs: list[str]) -> Schema:
    refs = [f"#/components/schemas/{name}" for name in names]
    mapping = dict(zip(slugs, refs, strict=True))
    return {
        "oneOf": [{"$ref": ref} for ref in refs],
        "discriminator": {"propertyName": "procedure", "mapping": mapping},
    }


def _post() -> dict[str, Any]:
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Contact"}}}}
    accepted = {"application/json": {"schema": {"$ref": "#/components/schemas/Accepted"}}}
    return {
        "operationId": "sendContact",
        "summary": "Submit a contact",
        "parameters": [_KEY],
        "requestBody": body,
        "responses": {
            "201": {"description": "accepted: stored durably", "content": accepted},
            **_problems(PROBLEMS),
        },
    }


def _document() -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object", "required": ["openapi"]}}}
    return {
        "operationId": "describe",
        "summary": "This document",
        "security": [],
        "responses": {"200": {"description": "OpenAPI 3.1", "content": content}},
    }


def _problems(meanings: dict[int, str]) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {str(status): {"description": meaning, "content": content} for status, meaning in meanings.items()}


def _accepted() -> Schema:
    members: dict[str, Schema] = {
        "contact_id": {"type": "string", "format": "uuid"},
        "reference": {
            "type": "string",
            "description": "the reference that the citizen quotes",
            "examples": ["P-7F3K-2Q9X-M4TC"],
        },
        "procedure": {"type": "string"},
        "received_at": {"type": "string", "format": "date-time"},
        "receipt": {"type": "string", "description": "address of the page that explains what happens next"},
    }
    return {"type": "object", "properties": members, "required": list(members)}


def _problem() -> Schema:
    errors = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            "required": ["pointer", "detail"],
        },
    }
    members: dict[str, Schema] = {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": errors,
    }
    return {"type": "object", "properties": members, "required": ["type", "title", "status"], "description": "RFC 9457"}
