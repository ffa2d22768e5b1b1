"""Finds the place that a contact reports, in a form that is the same for the same place. Pure; never raises, whatever the text."""

import re
from dataclasses import dataclass

from parvis.common.contract.contact import ContactReceived
from parvis.common.text.folding import fold
from parvis.common.town.form_fields import AddressField
from parvis.common.town.models import TownConfig

_POINT = re.compile(r"\bgeo:(-?[0-9]{1,2}(?:\.[0-9]{1,9})?),(-?[0-9]{1,3}(?:\.[0-9]{1,9})?)")  # geo URI, RFC 5870
_NUMBER = re.compile(r"\b([0-9]{1,4})( ?(?:bis|ter|quater)|[a-d])?\b")
_TOWN = re.compile(r"\b[0-9]{5}\b.*")  # a postcode and what follows
_SHORT = {
    "av": "avenue", "ave": "avenue", "bd": "boulevard", "bld": "boulevard", "boul": "boulevard", "r": "rue", "pl": "place",
    "ch": "chemin", "che": "chemin", "rte": "route", "imp": "impasse", "all": "allee", "sq": "square", "st": "saint", "ste": "sainte",
}  # fmt: skip
_LONGEST = 200


@dataclass(frozen=True)
class ReportedLocation:
    """A street with its house number, or a point in degrees; None for what is not known."""

    address: str | None = None
    latitude: float | None = None
    longitude: float | None = None


def find_place(contact: ContactReceived, town_config: TownConfig) -> ReportedLocation:
    """The place that the form's answers name; nothing for a street without a number, which is many places."""
    procedure = town_config.procedure(contact.procedure)
    fields = {field.name for field in procedure.form if isinstance(field, AddressField)} if procedure else set[str]()
    answers = [value[:_LONGEST] for name, value in contact.personal.answers.items() if name in fields]
    point = next(filter(None, map(_POINT.search, answers)), None)
    address = next(filter(None, map(normalize_address, answers)), None)
    if point is None or not (abs(float(point[1])) <= 90 and abs(float(point[2])) <= 180):
        return ReportedLocation(address)
    return ReportedLocation(address, float(point[1]), float(point[2]))


def normalize_address(text: str) -> str | None:
    """« 12 bis, r. Haute, 00100 Val-Exemple » and « 12bis rue Haute » give `12bis rue haute`. None without a house number."""
    street = _TOWN.sub(" ", _POINT.sub(" ", fold(text[:_LONGEST])))
    words = " ".join(re.findall(r"[a-z0-9]+", street.split("\n")[0]))
    number = _NUMBER.search(words)
    if number is None:
        return None
    names = [_SHORT.get(word, word) for word in f"{words[: number.start()]} {words[number.end() :]}".split()]
    names = [word for word in names if word not in ("n", "no", "numero", "au", "devant", "le", "face")]
    return f"{number[1]}{(number[2] or '').strip()} {' '.join(names)}" if names else None
