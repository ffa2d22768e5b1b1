"""Tests how an Open311 request is read as a form, whatever it holds, and which procedures can be asked for."""

from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.errors import Rejected
from parvis.common.town.loading import load_town_config
from parvis.ingest_web.models.form import REPLY
from parvis.ingest_web.parse.open311_request import report_form, request_to_form

from .conftest import CONFIG

TOWN = load_town_config(CONFIG)
FORM = report_form(TOWN.procedures["road-report"])
NAMES = (
    "lat", "long", "address_string", "address_id", "email", "phone", "first_name", "description", "media_url",
    "attribute[problem]", "attribute[x][]", "attribute[]", "attribute[[x]]",
)  # fmt: skip


def test_only_reports_of_a_place_that_need_no_name_and_no_file_are_offered() -> None:
    assert [slug for slug, one in TOWN.procedures.items() if report_form(one)] == ["road-report", "water-leak"]


def read(**request: str) -> dict[str, list[str]]:
    assert FORM
    return request_to_form(
        FORM, {"address_string": ["12 rue Haute"]} | {name: [value] for name, value in request.items()}
    )


def test_the_answer_goes_by_mail_else_by_sms_to_a_mobile_else_somebody_calls() -> None:
    assert read(email="a@b.example", phone="0639981234")[REPLY] == ["email"]
    assert read(phone="+33639981234")[REPLY] == ["sms"]
    assert read(phone="+33536490100")[REPLY] == ["phone"]
    assert read()[REPLY] == ["none"]


def test_address_and_point_are_two_lines_of_the_place() -> None:
    assert read(lat="44.8378", long="-0.5792")["place"] == ["12 rue Haute\ngeo:44.837800,-0.579200"]


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.text())))
def test_whatever_is_sent_becomes_a_form_or_is_rejected(request: dict[str, list[str]]) -> None:
    assert FORM
    rejected, fields = "", dict[str, list[str]]()
    try:
        fields = request_to_form(FORM, request)
    except Rejected as error:
        rejected = str(error)
    assert rejected in ("", "no_location", "no_coordinates")
    assert bool(fields) != bool(rejected)
