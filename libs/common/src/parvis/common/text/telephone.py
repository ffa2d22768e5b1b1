"""Parses telephone numbers into E.164 and formats them for people. Pure; no I/O."""

import re
import unicodedata
from functools import cache

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumber, PhoneNumberType

from parvis.common.contract.errors import Rejected
from parvis.common.text.invisible_characters import remove_invisible_characters

_E164 = re.compile(r"\+[1-9][0-9]{7,14}")
# France with its overseas regions, and its neighbours in Europe.
DEFAULT_SMS_REGIONS = frozenset("FR GP MQ GF RE YT PM BL MF NC PF WF BE LU DE CH IT MC ES AD".split())  # noqa: SIM905
# Regions whose numbers people type in the national form of the first; the library's data say which number is whose.
OVERSEAS_REGIONS = {"FR": ("RE", "YT", "GP", "MQ", "GF")}
_FICTIONAL = ("+3363998",)  # Arcep keeps 06 39 98 for fiction; all other numbers in 06 39 are of Mayotte
_SMS_TYPES = frozenset(
    {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}
)  # never premium, shared-cost, toll-free, personal numbers, pagers or Internet telephones
_NO_COUNTRY = "001"  # the library's name for satellite and international networks


def parse_e164(text: str, region: str) -> str:
    """The number in a text in E.164, read as people in `region` write it.

    Shape:  invisible characters and a note beside the number are left out: `06 … (après 18 h)`. A number that people overseas
            type in the national form gets its own country code: 0692… is +262 692….
    Raises: Rejected, if the text is not a possible number, or has several, or a note with line ends. Accepted: a possible number that is not assigned, and a complete
            international number of another country, because numbering plans grow before libraries know of it (Benin, 2024).
    """
    if _is_plain_e164(text):
        return text
    is_one_line = not any(unicodedata.category(character) == "Cc" for character in text)
    text = remove_invisible_characters(text)
    number = _parse_alone(text, region) or (_parse_beside_note(text, region) if is_one_line else None)
    if number is None or _keeps_trunk_prefix(number):
        raise Rejected("not a possible telephone number")
    return _format_e164(_find_overseas_number(number, region) or number)


def can_receive_sms(number: str) -> bool:
    """Whether a number in E.164 is one of a mobile phone, by the type of its range; a range that the library does not know counts
    as the numbers that begin like it.
    """
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return False
    if phonenumbers.region_code_for_country_code(parsed.country_code or 0) == _NO_COUNTRY:
        return False
    kind = phonenumbers.number_type(parsed)
    kinds = {kind} if kind != PhoneNumberType.UNKNOWN else _types_beside(parsed)
    return not _SMS_TYPES.isdisjoint(kinds)


def region_of_number(number: str) -> str:
    """The region (ISO 3166) of a number in E.164; `001` for satellites and international networks, empty if there is none."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ""
    region = phonenumbers.region_code_for_number(parsed)
    return region or phonenumbers.region_code_for_country_code(parsed.country_code or 0)


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


def _parse_alone(text: str, region: str) -> PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    is_number = phonenumbers.is_possible_number(number) or _is_complete_foreign_number(number, region)
    return number if is_number else None


def _keeps_trunk_prefix(number: PhoneNumber) -> bool:
    """Whether a digit is missing after the national prefix: `06 39 98 00 1` has nine digits, but +33 0… is nobody's number."""
    prefix, _ = _numbering_plan(str(number.country_code))
    national = phonenumbers.national_significant_number(number)
    return prefix == "0" and national.startswith("0") and not phonenumbers.is_valid_number(number)


def _parse_beside_note(text: str, region: str) -> PhoneNumber | None:
    """The only number in a text."""
    matches = phonenumbers.PhoneNumberMatcher(text[:200], region, leniency=phonenumbers.Leniency.POSSIBLE)
    numbers = {_format_e164(match.number): match.number for match in matches}
    return next(iter(numbers.values())) if len(numbers) == 1 else None


def _format_e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _find_overseas_number(number: PhoneNumber, region: str) -> PhoneNumber | None:
    """The overseas number that a number typed in its national form means; None if the region itself may have it."""
    if number.country_code != phonenumbers.country_code_for_region(region) or phonenumbers.is_valid_number(number):
        return None
    national = phonenumbers.national_significant_number(number)
    if _format_e164(number).startswith(_FICTIONAL) or _types_of_prefix(
        number.country_code, national[:3], len(national)
    ):
        return None
    for overseas in OVERSEAS_REGIONS.get(region, ()):
        code = phonenumbers.country_code_for_region(overseas)
        if _types_of_prefix(code, national[:3], len(national), overseas):
            return PhoneNumber(country_code=code, national_number=number.national_number)
    return None


def _types_beside(number: PhoneNumber) -> frozenset[int]:
    """The types of the numbers with the longest common beginning of three, two or one digits."""
    national = phonenumbers.national_significant_number(number)
    found = (_types_of_prefix(number.country_code, national[:digits], len(national)) for digits in (3, 2, 1))
    return next(filter(None, found), frozenset())


@cache
def _types_of_prefix(country_code: int, prefix: str, length: int, region: str = "") -> frozenset[int]:
    """The types of the valid numbers that begin with a prefix, by a sample of each hundred."""
    middles = (f"{n:03}" for n in range(1000))
    numbers = (
        PhoneNumber(country_code=country_code, national_number=int(f"{prefix}{m}".ljust(length, "0")[:length]))
        for m in middles
    )
    valid = (n for n in numbers if not region or phonenumbers.is_valid_number_for_region(n, region))
    return frozenset(phonenumbers.number_type(n) for n in valid) - {PhoneNumberType.UNKNOWN}


def _is_complete_foreign_number(number: PhoneNumber, region: str) -> bool:
    home_code = phonenumbers.country_code_for_region(region)
    return number.country_code != home_code and 8 <= len(phonenumbers.national_significant_number(number)) <= 12
