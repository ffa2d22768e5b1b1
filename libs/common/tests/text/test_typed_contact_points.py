"""Facts about telephone numbers and mail addresses as people type them."""

import pytest

from parvis.common.contract.errors import Rejected
from parvis.common.contract.normalize_contact_points import email_contact_point, phone_contact_point
from parvis.common.text.telephone import can_receive_sms, region_of_number


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("0692 12 34 56", "+262692123456"),
        ("06.93.12.34.56", "+262693123456"),
        ("0696 39 98 77", "+596696399877"),
        ("0690 30 12 34", "+590690301234"),
        ("0694 39 98 77", "+594694399877"),
        ("0639 01 23 45", "+262639012345"),
        ("06 39 98 00 12", "+33639980012"),
        ("06 39 98 00 12 (après 18 h)", "+33639980012"),
        ("portable : 06 39 98 00 12", "+33639980012"),
        ("\u202a06\u00a039 98\u200b 00 12\u202c", "+33639980012"),
        ("06 12 34 56 78", "+33612345678"),
    ],
)
def test_a_number_as_people_type_it(typed: str, number: str) -> None:
    assert phone_contact_point(typed).value == number


@pytest.mark.parametrize("typed", ["06 39 98 00 1", "0536 49 01 2", "+33 06 39 98 00"])
def test_a_number_with_a_missing_digit_is_nobodys(typed: str) -> None:
    with pytest.raises(Rejected):
        phone_contact_point(typed)


def test_a_zero_that_belongs_to_the_number_stays() -> None:
    assert phone_contact_point("+390612345678").value == "+390612345678"
    assert phone_contact_point("+2250712345678").value == "+2250712345678"


@pytest.mark.parametrize(
    "typed", ["mailto:camille@citizens.example?subject=Trou", "camille@citizens.example,", "camille@citizens.example;"]
)
def test_what_a_copied_address_brings_along_is_no_part_of_it(typed: str) -> None:
    assert email_contact_point(typed).value == "camille@citizens.example"


@pytest.mark.parametrize(
    "typed",
    ["camille@citizens.example?subject=Trou", "camille@-citizens.example", "camille@192.0.2.1", "camille@citizens.example'",
     "camille@citizens.example..", "camille@citizens/example"],
)  # fmt: skip
def test_what_is_no_domain_is_no_address(typed: str) -> None:
    with pytest.raises(Rejected):
        email_contact_point(typed)


def test_two_numbers_are_no_number() -> None:
    with pytest.raises(Rejected):
        phone_contact_point("06 39 98 00 12 ou 06 39 98 00 13")


@pytest.mark.parametrize(
    "number",
    ["+33899123456", "+33970000001", "+33800000001", "+33199001234", "+870773111632", "+881612345678", "+97912345678",
     "+19005551234", "+447012345678"],
)  # fmt: skip
def test_no_sms_to_other_than_mobile_numbers(number: str) -> None:
    assert not can_receive_sms(number)


@pytest.mark.parametrize("number", ["+33639980012", "+262692399877", "+4915112345678", "+41760000000", "+33712345678"])
def test_sms_to_mobile_numbers(number: str) -> None:
    assert can_receive_sms(number)


def test_the_region_of_a_number() -> None:
    assert [region_of_number(n) for n in ("+33639980012", "+262692123456", "+870773111632")] == ["FR", "RE", "001"]


@pytest.mark.parametrize(
    "typed",
    [
        "mailto:zoe@club.example",
        "Zoé Exemple <zoe@club.example>",
        "\u200ezoe@club.example\u200b",
        "zoe@club.example.",
        "zoe@club.example (le soir)",
        "<Zoe@Club.example>",
        "zoe@club\u00ad.example\u00a0",
    ],
)
def test_an_address_as_people_copy_it(typed: str) -> None:
    assert email_contact_point(typed).value == "zoe@club.example"


@pytest.mark.parametrize(
    "typed",
    [
        "zoe..b@club.example",
        ".zoe@club.example",
        "zoe.@club.example",
        "zoe@club..example",
        "zoe@club",
        "zoe@@club.example",
        "(zoe@club.example)",
    ],
)
def test_an_address_that_no_relay_takes(typed: str) -> None:
    with pytest.raises(Rejected):
        email_contact_point(typed)


def test_a_domain_in_the_form_of_idna_2008() -> None:
    assert email_contact_point("zoe@STRAẞE.example").value == "zoe@straße.example"
    assert email_contact_point("zoe@éco\uff0eexample").value == "zoe@éco.example"


def test_a_domain_is_one_however_it_is_written() -> None:
    assert email_contact_point("zoe@xn--co-9ia.example") == email_contact_point("zoe@éco.example")
    assert email_contact_point("zoe@xn--0.example").value == "zoe@xn--0.example"


@pytest.mark.parametrize("typed", ["zo\ufffd@club.example", "z" * 65 + "@club.example"])
def test_an_address_that_no_relay_can_write_to(typed: str) -> None:
    with pytest.raises(Rejected):
        email_contact_point(typed)
