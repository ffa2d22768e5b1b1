"""Reads an Open311 service request (GeoReport v2) as the fields of a procedure's form. Pure; no I/O."""

import math
import re
from collections.abc import Mapping, Sequence

from parvis.common.contract.errors import Rejected
from parvis.common.contract.normalize_contact_points import phone_contact_point
from parvis.common.text.telephone import can_receive_sms
from parvis.common.town.form_fields import AddressField, FileField, LongTextField
from parvis.common.town.models import Procedure
from parvis.ingest_web.models.form import NAME, NO_REPLY, REPLY, reply_address_input
from parvis.ingest_web.models.report_form import ReportForm

_ATTRIBUTE = re.compile(r"^attribute\[([^\[\]]{1,100})\](?:\[\])?$")


def report_form(procedure: Procedure) -> ReportForm | None:
    """The procedure as a report of a place. None if it asks for a name, for a file, or for no place or free text."""
    place = next((one for one in procedure.form if isinstance(one, AddressField)), None)
    description = next((one for one in procedure.form if isinstance(one, LongTextField)), None)
    needs_file = any(isinstance(one, FileField) and one.required for one in procedure.form)
    if place is None or description is None or needs_file or not procedure.anonymous:
        return None
    others = (one for one in procedure.form if one not in (place, description) and not isinstance(one, FileField))
    return ReportForm(procedure, place, description, tuple(others))


def request_to_form(form: ReportForm, request: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The fields of the form, for `parse_form`, which checks them as those of a page.

    Gives:  what the form has no field for, as lines of the description: nothing that was sent is lost.
    Raises: Rejected, with the key of the sentence: no_location, no_coordinates.
    """
    known = {one.name for one in form.attributes}
    sent = {match[1]: list(values) for name, values in request.items() if (match := _ATTRIBUTE.match(name))}
    fields = {name: values for name, values in sent.items() if name in known}
    more = [f"{name}: {', '.join(values)}" for name, values in sent.items() if name not in known and any(values)]
    email, phone = _first(request, "email"), _first(request, "phone")
    more += [f"{name}: {text}" for name in ("media_url", "address_id") if (text := _first(request, name))]
    more += [f"phone: {phone}"] if email and phone else []
    fields[form.place.name] = [_place(request)]
    fields[form.description.name] = ["\n\n".join(filter(None, [_first(request, "description"), "\n".join(more)]))]
    fields[NAME] = [" ".join(filter(None, (_first(request, "first_name"), _first(request, "last_name"))))]
    channel = "email" if email else _phone_channel(phone) if phone else NO_REPLY
    return fields | {REPLY: [channel], reply_address_input(channel): [email or phone]}


def _place(request: Mapping[str, Sequence[str]]) -> str:
    """The address, and the point as a geo URI (RFC 5870), which the desk reads as a place."""
    address = " ".join(_first(request, "address_string").split())
    latitude, longitude = _first(request, "lat"), _first(request, "long")
    if not latitude and not longitude:
        if not address:
            raise Rejected("no_location")
        return address
    try:
        point = float(latitude), float(longitude)
    except ValueError:
        raise Rejected("no_coordinates") from None
    if not all(map(math.isfinite, point)) or abs(point[0]) > 90 or abs(point[1]) > 180:
        raise Rejected("no_coordinates")
    return "\n".join(filter(None, [address, f"geo:{point[0]:.6f},{point[1]:.6f}"]))


def _phone_channel(phone: str) -> str:
    try:
        return "sms" if can_receive_sms(phone_contact_point(phone).value) else "phone"
    except Rejected:
        return "phone"  # `parse_form` says what is wrong with it


def _first(request: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(request.get(name, ())), "").strip()
