"""Finds the areas of the town that the streets and coordinates in a text may lie in. Pure; never raises, whatever the text."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import re2
from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from parvis.common.town.config_types import ConfigModel, LocalText
from parvis.router.rules.term_patterns import compile_term

AreaId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
_NUMBER = re.compile(r"([0-9]{1,4})(?: ?(?:bis|ter|quater|[a-d]))?[ ,]{0,3}(?:(?:de|dans) (?:la |le |l')?)?$")
_POINT = re.compile(r"\bgeo:(-?[0-9]{1,3}(?:\.[0-9]{1,9})?),(-?[0-9]{1,3}(?:\.[0-9]{1,9})?)")  # geo URI, RFC 5870
_BEFORE_CHARACTERS = 24
_MOST_PLACES = 50


class Street(ConfigModel):
    """A street, or the part of it between two house numbers."""

    street: str = Field(min_length=3, max_length=120)
    numbers: str = Field(
        default="", pattern=r"^([0-9]{1,4}-[0-9]{1,4})?$", description="such as 1-59; empty: the whole street"
    )
    side: Literal["odd", "even", "both"] = "both"

    def has_number(self, number: int) -> bool:
        first, _, last = self.numbers.partition("-")
        within = not self.numbers or int(first) <= number <= int(last)
        return within and (self.side == "both" or (number % 2 == 1) == (self.side == "odd"))


def _as_street(value: object) -> object:
    return {"street": value} if isinstance(value, str) else value


class ServiceArea(ConfigModel):
    """A part of the town that rules may refer to."""

    id: AreaId
    name: LocalText
    streets: tuple[Annotated[Street, BeforeValidator(_as_street)], ...] = ()
    outline: tuple[tuple[float, float], ...] = Field(default=(), description="latitude, longitude of each corner")

    @model_validator(mode="after")
    def _lies_somewhere(self) -> "ServiceArea":
        if not self.streets and len(self.outline) < 3:
            raise ValueError("an area needs streets, or an outline of three corners or more")
        return self

    def encloses(self, latitude: float, longitude: float) -> bool:
        """Whether a point lies inside the outline: a ray to the east crosses it an odd number of times."""
        corners, inside = self.outline, False
        for (y1, x1), (y2, x2) in zip(corners, (*corners[1:], *corners[:1]), strict=True):
            if (y1 > latitude) != (y2 > latitude) and longitude < x1 + (latitude - y1) / (y2 - y1) * (x2 - x1):
                inside = not inside
        return inside


class TerritoryFile(ConfigModel):
    areas: tuple[ServiceArea, ...] = Field(max_length=500)


@dataclass(frozen=True)
class TownAreas:
    """The areas of a town; empty without `territory.yaml`."""

    areas: tuple[ServiceArea, ...] = ()
    _streets: tuple[tuple[str, tuple[tuple[AreaId, Street], ...]], ...] = field(default=(), repr=False)
    _set: "re2.Set | None" = field(default=None, repr=False)

    def find_areas(self, text: str, folded: str) -> tuple[AreaId, ...]:
        """All areas that a place in the text may lie in; more than one if the text is ambiguous.

        A house number selects the part of a street; without one every part is possible.
        """
        if not self.areas:
            return ()
        area_ids = {area for areas in self._named(folded) for area in areas}
        area_ids |= {area.id for area in self.areas if area.outline and any(area.encloses(*at) for at in _points(text))}
        return tuple(area.id for area in self.areas if area.id in area_ids)

    def _named(self, folded: str) -> Iterator[set[AreaId]]:
        for hit in (self._set.Match(folded) or ()) if self._set else ():
            source, parts = self._streets[hit]
            numbers = [number for number in _numbers_before(folded, source) if number is not None]
            yield {id_ for id_, part in parts if not numbers or any(map(part.has_number, numbers))}


def compile_service_areas(areas: Sequence[ServiceArea]) -> TownAreas:
    """Compile checked areas."""
    by_source: dict[str, list[tuple[AreaId, Street]]] = defaultdict(list)
    for area in areas:
        for street in area.streets:
            by_source[compile_term(street.street)].append((area.id, street))
    compiled = None
    if by_source:
        compiled = re2.Set.SearchSet()
        for source in by_source:
            compiled.Add(source)
        compiled.Compile()
    return TownAreas(tuple(areas), tuple((source, tuple(parts)) for source, parts in by_source.items()), compiled)


def _numbers_before(folded: str, source: str) -> Iterator[int | None]:
    """The house number before each mention of a street; None for a mention without one."""
    for index, match in enumerate(re2.finditer(source, folded)):
        if index == _MOST_PLACES:
            return
        number = _NUMBER.search(folded[max(0, match.start() - _BEFORE_CHARACTERS) : match.start()])
        yield int(number[1]) if number else None


def _points(text: str) -> list[tuple[float, float]]:
    return [(float(match[1]), float(match[2])) for match in _POINT.finditer(text)][:_MOST_PLACES]
