"""Parses telephone numbers into E.164 and formats them for people. Pure; no I/O."""

import re
from functools import cache

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from parvis.common.contract.errors import Rejected

_E164 = re.compile(r"\+[1-9][0-9]{7,14}")


def parse_e164(text: str, region: str) -> str:
    """The number in a text in E.164, read as people in `region` write it.

    Raises: Rejected, if the text is not a possible number. Accepted: a possible number that is not assigned, and a complete
            international number of another country, because numbering plans grow before libraries know of it (Benin, 2024).
    """
    if _is_plain_e164(text):
        return text
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise Rejected("not a telephone number") from error
    if not phonenumbers.is_possible_number(number) and not _is_complete_foreign_number(number, region):
        raise Rejected("not a possible telephone number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def format_phone(number: str) -> str:
    """The number as people in its country write it: `05 36 49 01 20`. What is not a number stays as it is."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)


def _is_plain_e164(text: str) -> bool:
    """Whether parsing would return the number unchanged. Networks write numbers so, and parsing is most of the cost of a text message."""
    if not _E164.fullmatch(text):
        return False
    code = next((text[1:end] for end in (2, 3, 4) if int(text[1:end]) in COUNTRY_CODE_TO_REGION_CODE), "")
    prefix, lengths = _numbering_plan(code)
    national = text[1 + len(code) :]
    return len(national) in lengths and not national.startswith(("0", prefix or "0"))


@cache
def _numbering_plan(code: str) -> tuple[str, tuple[int, ...]]:
    """The national prefix and the possible lengths of a country's numbers; no lengths if the prefix is not plain digits."""
    region = phonenumbers.region_code_for_country_code(int(code)) if code else None
    plan = PhoneMetadata.metadata_for_region_or_calling_code(int(code), region) if region else None
    prefix = (plan.national_prefix_for_parsing or "") if plan else ""
    if plan is None or plan.general_desc is None or not (prefix == "" or prefix.isdigit()):
        return "", ()
    return prefix, tuple(plan.general_desc.possible_length)


def _is_complete_foreign_number(number: phonenumbers.PhoneNumber, region: str) -> bool:
    home_code = phonenumbers.country_code_for_region(region)
    return number.country_code != home_code and 8 <= len(phonenumbers.national_significant_number(number)) <= 12
