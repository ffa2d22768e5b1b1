"""Builds the JSON Schema of the contact that a program may submit for a procedure. Pure; no I/O."""

from datetime import date
from typing import Any

from parvis.common.town.config_types import LocalText
from parvis.common.town.form_fields import (
    AddressField,
    ChoiceField,
    ConsentField,
    DateField,
    EmailField,
    FileField,
    FormField,
    LongTextField,
    PhoneField,
    TextField,
)
from parvis.common.town.models import Procedure

Schema = dict[str, Any]

# Readable patterns for the numbers of France, its overseas territories and its neighbours instead of every country; people
# elsewhere are reached by mail or letter. A test checks that the service accepts what the patterns accept.
PHONE = r"^\+(33[1-9][0-9]{8}|(262|590|594|596)[1-9][0-9]{8}|32[1-9][0-9]{7}|41[2-9][0-9]{8}|34[6-9][0-9]{8})$"
MOBILE = r"^\+(33[67][0-9]{8}|262(692|693)[0-9]{6}|(590690|594694|596696)[0-9]{6}|324[6-9][0-9]{7}|417[5-9][0-9]{7}|346[0-9]{8})$"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"  # RFC 5322 §3.2.3; dots stand between two of them
# At most 64 characters before the @, in one to four parts (RFC 5321 §4.5.3.1).
_LOCAL = "|".join(
    rf"{_ATOM}{{1,{size}}}(\.{_ATOM}{{1,{size}}}){{{parts - 1}}}"
    for parts, size in ((1, 64), (2, 31), (3, 20), (4, 15))
)
MAIL = rf"^({_LOCAL})@([A-Za-z0-9]([A-Za-z0-9-]{{0,39}}[A-Za-z0-9])?\.){{1,3}}[A-Za-z][A-Za-z0-9-]{{0,19}}[A-Za-z0-9]$"
NOT_BLANK = r"[^\s\u001c-\u001f\u0085]"

# Base64 prefixes of the accepted media types; the rest may be any base64.
_BASE64_PREFIXES = {
    "image/jpeg": "/9j/",
    "image/png": "iVBORw0KGgo[A-Za-z0-9+/]",
    "application/pdf": "JVBERi[0-3][A-Za-z0-9+/]",
}
_REST_OF_BASE64 = "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_NAME_LENGTH, _ADDRESS_LENGTH, _LINE_LENGTH = 120, 500, 80


def request_schema(procedure: Procedure, languages: tuple[str, ...], today: date) -> Schema:
    """The schema of a contact for one procedure; date limits depend on `today`."""
    fields = [f for f in procedure.form if not isinstance(f, FileField)]
    files = [f for f in procedure.form if isinstance(f, FileField)]
    needed = [f.name for f in fields if f.required]
    members: dict[str, Schema] = {
        "procedure": {"const": procedure.slug, "type": "string"},
        "language": {"enum": list(languages), "description": "of the text; the first of the town when left out"},
        "name": _text(_NAME_LENGTH) | {"description": "first and last name of the citizen"},
        "reply": {"$ref": "#/components/schemas/Reply"},
        "answers": _object({f.name: _answer(f, today) | _described(f) for f in fields}, needed),
    }
    wanted = ["procedure"] + (["answers"] if needed else []) + ([] if procedure.anonymous else ["name", "reply"])
    if files:
        members["files"] = _object(
            {f.name: _files(f) | _described(f) for f in files}, [f.name for f in files if f.required]
        )
        wanted += ["files"] if any(f.required for f in files) else []
    return _object(members, wanted) | {"title": procedure.title.get("en") or procedure.slug}


def reply_schema() -> Schema:
    """The schema of the reply channel with its address; no procedure requires a mail address."""
    line = _text(_LINE_LENGTH)
    lines = {
        "type": "array",
        "items": line,
        "minItems": 2,
        "maxItems": 6,
        "description": "street first, then postcode and town",
    }
    addresses: dict[str, Schema] = {
        "sms": {"type": "string", "pattern": MOBILE, "examples": ["+33639981234"]},
        "phone": {"type": "string", "pattern": PHONE, "examples": ["+33536491234"]},
        "email": {"type": "string", "pattern": MAIL, "examples": ["name@example-town.example"]},
        "post": lines,
    }
    return {
        "oneOf": [
            _object({"channel": {"const": channel, "type": "string"}, "address": address}, ["channel", "address"])
            for channel, address in addresses.items()
        ]
    }


def _object(members: dict[str, Schema], required: list[str]) -> Schema:
    return {"type": "object", "properties": members, "required": required, "additionalProperties": False}


def _text(most: int) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": most, "pattern": NOT_BLANK}


def _described(f: FormField) -> Schema:
    label: LocalText = f.label
    return {"description": label.get("en") or next(iter(label.values()))}


def _answer(f: FormField, today: date) -> Schema:
    schema: Schema = {}
    match f:
        case TextField() | LongTextField():
            schema = _text(f.max_length)
        case AddressField():
            schema = _text(_ADDRESS_LENGTH)
        case ChoiceField():
            option: Schema = {"enum": [choice.value for choice in f.options]}
            schema = {"type": "array", "items": option, "minItems": 1, "uniqueItems": True} if f.several else option
        case DateField():
            schema = _date(f, today)
        case ConsentField():
            schema = {"const": True} if f.required else {"type": "boolean"}
        case EmailField() | PhoneField():
            schema = {"type": "string", "pattern": MAIL if isinstance(f, EmailField) else PHONE}
        case FileField():
            pass  # files are not answers
    return schema


def _date(f: DateField, today: date) -> Schema:
    earliest = today if f.earliest == "today" else f.earliest
    latest = today if f.latest == "today" else f.latest
    bounds = ["^[0-9]{4}-[0-9]{2}-[0-9]{2}$"]
    bounds += [not_before(earliest)] if earliest else []
    bounds += [not_after(latest)] if latest else []
    return {"type": "string", "format": "date", "allOf": [{"pattern": bound} for bound in bounds]}


def not_before(day: date) -> str:
    """A pattern for ISO dates from `day` on, because JSON Schema cannot compare dates."""
    return _days_beyond(day.isoformat(), up=True)


def not_after(day: date) -> str:
    return _days_beyond(day.isoformat(), up=False)


def _days_beyond(text: str, *, up: bool) -> str:
    """A pattern for dates that equal the bound, or that equal it up to one digit and lie beyond it there."""
    patterns = [text]
    for position, digit in enumerate(text):
        beyond = (range(int(digit) + 1, 10) if up else range(int(digit))) if digit.isdigit() else range(0)
        if beyond:
            patterns.append(f"{text[:position]}[{beyond[0]}-{beyond[-1]}].*")
    return f"^({'|'.join(patterns)})$"


def _files(f: FileField) -> Schema:
    prefixes = [_BASE64_PREFIXES[kind] for kind in f.accept if kind in _BASE64_PREFIXES]
    pattern_of_content = f"^({'|'.join(prefixes)}){_REST_OF_BASE64}$" if prefixes else f"^{_REST_OF_BASE64}$"
    content: Schema = {
        "type": "string",
        "contentEncoding": "base64",
        "pattern": pattern_of_content,
        "maxLength": f.largest_mb * 1_000_000 // 3 * 4,
        "description": f"base64 of {', '.join(f.accept)}; at most {f.largest_mb} MB",
    }
    file = _object({"name": {"type": "string", "maxLength": 200}, "content": content}, ["content"])
    return {"type": "array", "items": file, "minItems": 1, "maxItems": f.most_files}
