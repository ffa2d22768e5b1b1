"""Renders Open311 documents (GeoReport v2) as JSON, or as XML by the same names. Pure; no I/O."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias
from xml.etree import ElementTree as ET

from parvis.common.town.form_fields import ChoiceField, ConsentField, DateField, FormField, LongTextField
from parvis.common.town.models import TownConfig, localized
from parvis.ingest_web.models.report_form import ReportForm

Document: TypeAlias = "str | int | bool | None | Sequence[Document] | Mapping[str, Document]"
MEDIA_TYPES = MappingProxyType({"json": "application/json; charset=utf-8", "xml": "text/xml; charset=utf-8"})
SPECIFICATION = "http://wiki.open311.org/GeoReport_v2"
_CHANGED = "2026-11-30T00:00:00Z"
# The name of each item of a list, in XML; JSON has no names for them (the "Spark convention").
_ITEMS = {
    "services": "service", "attributes": "attribute", "values": "value", "service_requests": "request", "errors": "error",
    "endpoints": "endpoint", "formats": "format",
}  # fmt: skip


def render(root: str, document: Document, form: str) -> str:
    """The document; in XML its outermost element is `root`."""
    if form == "json":
        return json.dumps(document, ensure_ascii=False)
    element = ET.Element(root)
    _fill(element, document)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(element, encoding="unicode")


def _fill(element: ET.Element, document: Document) -> None:
    if isinstance(document, Mapping):
        for name, member in document.items():
            _fill(ET.SubElement(element, name), member)
    elif isinstance(document, bool):
        element.text = "true" if document else "false"
    elif isinstance(document, str | int):
        element.text = str(document)
    elif document is not None:
        for item in document:
            _fill(ET.SubElement(element, _ITEMS[element.tag]), item)


def service_list(forms: Sequence[ReportForm], town_config: TownConfig, language: str) -> Document:
    return [
        {
            "service_code": form.procedure.slug,
            "service_name": localized(form.procedure.title, language),
            "description": localized(form.procedure.intro, language),
            "metadata": bool(form.attributes),
            "type": "realtime",
            "keywords": "",
            "group": localized(town_config.departments[form.procedure.department].name, language),
        }
        for form in forms
    ]


def service_definition(form: ReportForm, language: str, yes: str) -> Document:
    """The form's fields but place, description and files. `yes`: the word of the one value of a consent."""
    attributes = [_attribute(one, number, language, yes) for number, one in enumerate(form.attributes, 1)]
    return {"service_code": form.procedure.slug, "attributes": attributes}


def _attribute(one: FormField, order: int, language: str, yes: str) -> Document:
    values: list[Document] = []
    if isinstance(one, ChoiceField):
        values = [{"key": option.value, "name": localized(option.label, language)} for option in one.options]
    elif isinstance(one, ConsentField):
        values = [{"key": "yes", "name": yes}]
    attribute: dict[str, Document] = {
        "variable": True,
        "code": one.name,
        "datatype": _datatype(one),
        "required": one.required,
        "datatype_description": localized(one.help, language) if one.help else None,
        "order": order,
        "description": localized(one.label, language),
    }
    return attribute | ({"values": values} if values else {})


def _datatype(one: FormField) -> str:
    match one:
        case ChoiceField():
            return "multivaluelist" if one.several else "singlevaluelist"
        case ConsentField():
            return "singlevaluelist"
        case DateField():
            return "datetime"
        case LongTextField():
            return "text"
        case _:
            return "string"


def discovery(url: str, contact: str) -> Document:
    """The service discovery document."""
    endpoint: Document = {
        "specification": SPECIFICATION, "url": url, "changeset": _CHANGED, "type": "production",
        "formats": ["text/xml", "application/json"],
    }  # fmt: skip
    return {"changeset": _CHANGED, "contact": contact, "key_service": contact, "endpoints": [endpoint]}
