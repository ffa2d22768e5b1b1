"""A form out: as canonical bytes, as a contact, as pages. Pure; no I/O."""

from parvis.ingest_web.render.contact import (
    ANSWERS_ROOM_BYTES,
    TEXT_ROOM_BYTES,
    Accepted,
    contact_of,
    fitting,
    fitting_answers,
    is_fitting,
    original,
    subject,
    text,
)
from parvis.ingest_web.render.openapi import openapi
from parvis.ingest_web.render.pages import Shown, form_page, receipt_page, review_page, sentence, types_in_words
from parvis.ingest_web.render.schema import reply_schema, request_schema

__all__ = [
    "ANSWERS_ROOM_BYTES",
    "TEXT_ROOM_BYTES",
    "Accepted",
    "Shown",
    "contact_of",
    "fitting",
    "fitting_answers",
    "form_page",
    "is_fitting",
    "openapi",
    "original",
    "receipt_page",
    "reply_schema",
    "request_schema",
    "review_page",
    "sentence",
    "subject",
    "text",
    "types_in_words",
]
