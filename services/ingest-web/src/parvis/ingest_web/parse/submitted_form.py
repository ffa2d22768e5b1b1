"""Parses a procedure's submitted form into answers and problems, in the order of the page. No I/O."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from parvis.common.contract.contact import ContactPoint, ReplyAddress
from parvis.common.contract.errors import Rejected
from parvis.common.contract.normalize_contact_points import (
    email_contact_point,
    phone_contact_point,
    postal_contact_point,
)
from parvis.common.text.folding import fold
from parvis.common.text.invisible_characters import remove_invisible_characters
from parvis.common.text.telephone import can_receive_sms
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
from parvis.ingest_web.models.form import (
    HONEYPOT,
    NAME,
    NO_REPLY,
    REPLY,
    REPLY_CHANNELS,
    FilledForm,
    FormFile,
    FormProblem,
    reply_address_input,
)

_ADDRESS_LENGTH = 500
_POSTAL_LINES = 7  # with the name, in the window of an envelope
_NAME_LENGTH = 120
# Labels of letters in any alphabet, digits and hyphens, with at least one dot (RFC 5890 §2.3.2.3).
_DOMAIN = re.compile(r"^(?:[^\W_](?:[^\W_]|-){0,62}\.)+[^\W\d_](?:[^\W_]|-)+$")
_FRENCH_DATE = re.compile(r"^([0-9]{1,2})[/. -]([0-9]{1,2})[/. -]([0-9]{4})$")


def parse_form(
    procedure: Procedure,
    fields: Mapping[str, Sequence[str]],
    files: Mapping[str, Sequence[FormFile]],
    *,
    today: date,
    own: Collection[str] = (),
) -> FilledForm:
    """Parse the fields of a form.

    Shape:  fields, cleaned text by input name; today, in the town's time zone; own, the town's addresses and numbers, where
            nothing is sent.
    Gives:  all problems at once, in the order of the page.
    Raises: never.
    """
    filled = FilledForm(filled_honeypot=any(value.strip() for value in fields.get(HONEYPOT, ())))
    for form_field in procedure.form:
        if isinstance(form_field, FileField):
            _check_files(filled, form_field, files.get(form_field.name, ()))
        else:
            _parse_answer(filled, form_field, _shown(fields, form_field.name), today)
    _parse_name(filled, procedure, _first(fields, NAME))
    _parse_reply(filled, procedure, fields)
    if filled.reply and filled.reply.address in own:
        filled.problems[reply_address_input(filled.reply.channel)] = FormProblem("own_address")
    return filled


def _shown(fields: Mapping[str, Sequence[str]], name: str) -> list[str]:
    """The values of a field that show anything."""
    return [value for value in fields.get(name, ()) if remove_invisible_characters(value)]


def _first(fields: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(fields.get(name, ())), "").strip()


def _parse_answer(filled: FilledForm, form_field: FormField, values: list[str], today: date) -> None:
    if not values:
        if form_field.required:
            key = "consent_needed" if isinstance(form_field, ConsentField) else "required"
            filled.problems[form_field.name] = FormProblem(key, form_field.label)
        return
    read = _answer_of_type(form_field, values, today)
    if isinstance(read, FormProblem):
        filled.problems[form_field.name] = read
    else:
        filled.answers[form_field.name] = read


def _answer_of_type(form_field: FormField, values: list[str], today: date) -> str | FormProblem:
    match form_field:
        case TextField() | LongTextField():
            is_line = isinstance(form_field, TextField)
            text = " ".join(values[0].splitlines()).strip() if is_line else values[0]
            return _check_length(text, form_field.max_length, form_field.label)
        case AddressField():
            return _check_length(values[0].strip(), _ADDRESS_LENGTH, form_field.label)
        case ChoiceField():
            return _parse_choice(form_field, [value.strip() for value in values])
        case DateField():
            return _parse_date_field(form_field, values[0].strip(), today)
        case EmailField() | PhoneField():
            return _parse_contact_point(form_field, values[0].strip())
        case _:
            return "yes"


def _check_length(text: str, most: int, label: LocalText) -> str | FormProblem:
    return text if len(text) <= most else FormProblem("too_long", label, {"most": most, "count": len(text)})


def _parse_choice(form_field: ChoiceField, values: list[str]) -> str | FormProblem:
    known = [option.value for option in form_field.options]
    if any(value not in known for value in values) or (len(values) > 1 and not form_field.several):
        return FormProblem("unknown_choice", form_field.label)
    return ",".join(value for value in known if value in values)


def _parse_date_field(form_field: DateField, text: str, today: date) -> str | FormProblem:
    day = _parse_date(text)
    if day is None:
        return FormProblem("no_date", form_field.label)
    earliest = today if form_field.earliest == "today" else form_field.earliest
    latest = today if form_field.latest == "today" else form_field.latest
    if earliest and day < earliest:
        return FormProblem("too_early", form_field.label, {"day": earliest})
    if latest and day > latest:
        return FormProblem("too_late", form_field.label, {"day": latest})
    return day.isoformat()


def _parse_contact_point(form_field: EmailField | PhoneField, typed: str) -> str | FormProblem:
    try:
        return (_email if isinstance(form_field, EmailField) else phone_contact_point)(typed).value
    except Rejected:
        return FormProblem(f"no_{form_field.type}", form_field.label)


def _parse_date(text: str) -> date | None:
    """An ISO date, as browsers send it, or 31/12/1990, as people type it where the browser has no date field."""
    written = _FRENCH_DATE.match(text)
    try:
        return date(int(written[3]), int(written[2]), int(written[1])) if written else date.fromisoformat(text)
    except ValueError:
        return None


def _check_files(filled: FilledForm, form_field: FileField, files: Sequence[FormFile]) -> None:
    problem: FormProblem | None = None
    if not files and form_field.required:
        problem = FormProblem("file_needed", form_field.label)
    elif len(files) > form_field.most_files:
        problem = FormProblem("too_many_files", form_field.label, {"count": form_field.most_files})
    good: list[FormFile] = []
    for file in files:
        if file.size_bytes > form_field.largest_mb * 1_000_000:
            problem = FormProblem("file_too_large", None, {"name": file.name, "most": form_field.largest_mb})
        elif file.media_type not in form_field.accept:
            problem = FormProblem("wrong_file_type", None, {"name": file.name, "accept": form_field.accept})
        else:
            good.append(file)
    if problem:
        filled.problems[form_field.name] = problem
    if good:
        filled.files[form_field.name] = good  # also with a problem, so that citizens need not choose valid files again


def _parse_name(filled: FilledForm, procedure: Procedure, name: str) -> None:
    filled.name = " ".join(name.split())
    if not filled.name and not procedure.anonymous:
        filled.problems[NAME] = FormProblem("name_needed")
    elif len(filled.name) > _NAME_LENGTH:
        filled.problems[NAME] = FormProblem("name_too_long", None, {"most": _NAME_LENGTH})


def _parse_reply(filled: FilledForm, procedure: Procedure, fields: Mapping[str, Sequence[str]]) -> None:
    channel = _first(fields, REPLY)
    if channel in ("", NO_REPLY) and procedure.anonymous:
        return
    if channel not in REPLY_CHANNELS:
        filled.problems[REPLY] = FormProblem("reply_needed")
        return
    typed = _first(fields, reply_address_input(channel))
    if not typed:
        filled.problems[reply_address_input(channel)] = FormProblem(f"{channel}_needed")
        return
    try:
        point = _point(channel, typed[: _ADDRESS_LENGTH + 1], filled.name[:_NAME_LENGTH])
    except Rejected:
        problem = (
            "post_too_long" if channel == "post" and len(typed.split("\n")) >= _POSTAL_LINES else f"{channel}_wrong"
        )
        filled.problems[reply_address_input(channel)] = FormProblem(problem)
        return
    if channel == "sms" and not can_receive_sms(point.value):
        filled.problems[reply_address_input(channel)] = FormProblem("sms_landline")
        return
    filled.reply = ReplyAddress.model_validate({"channel": channel, "address": point.value})
    filled.sender = point if point.kind != "post" else None


def _point(channel: str, typed: str, name: str) -> ContactPoint:
    if len(typed) > _ADDRESS_LENGTH:
        raise Rejected("the address is too long")
    if channel == "email":
        return _email(typed)
    if channel == "post":
        first = fold(typed.split("\n", 1)[0])
        return postal_contact_point(typed if not name or fold(name) in first else f"{name}\n{typed}")
    return phone_contact_point(typed)


def _email(typed: str) -> ContactPoint:
    point = email_contact_point(typed)
    if not _DOMAIN.match(point.value.rpartition("@")[2]):
        raise Rejected("the domain is invalid")
    return point
