"""Decides whether an HTML element is shown, from its inline style and what it inherits (CSS 2.2). Pure; no I/O."""

import re
from dataclasses import dataclass, replace

_NOTHING = re.compile(r"0*\.?0*(?:px|pt|pc|em|rem|ex|ch|cm|mm|in|vh|vw|%)?")
_RELATIVE = ("em", "ex", "%", "smaller", "larger", "inherit", "unset")


@dataclass(frozen=True)
class Visibility:
    """How an element is shown. `takes_space` is false below `display: none`: no child can undo that, nor `opacity: 0`."""

    takes_space: bool = True
    is_opaque: bool = True
    is_visible: bool = True
    has_size: bool = True

    @property
    def is_shown(self) -> bool:
        return self.takes_space and self.is_opaque and self.is_visible and self.has_size


SHOWN = Visibility()


def apply_style(parent: Visibility, style: str, *, is_hidden: bool = False) -> Visibility:
    """The visibility of an element with this style attribute in a parent. `is_hidden`: it has the attribute `hidden`."""
    if not style:
        return replace(parent, takes_space=False) if is_hidden else parent
    rules = _declarations(style)
    return Visibility(
        takes_space=parent.takes_space and not _removes(rules, is_hidden=is_hidden),
        is_opaque=parent.is_opaque and not _is_nothing(rules.get("opacity", "")),
        is_visible=_inherited(parent.is_visible, rules.get("visibility", ""), ("hidden", "collapse")),
        has_size=_font_has_size(parent.has_size, rules.get("font-size", "")),
    )


def _declarations(style: str) -> dict[str, str]:
    """The properties and their values; of two declarations the last counts, unless the first is important."""
    rules: dict[str, str] = {}
    important: set[str] = set()
    for declaration in style.lower().split(";"):
        name, colon, value = declaration.partition(":")
        name, is_important = name.strip(), "!important" in value.replace(" ", "")
        if colon and (is_important or name not in important):
            rules[name] = value.partition("!")[0].strip()
            important |= {name} if is_important else set()
    return rules


def _removes(rules: dict[str, str], *, is_hidden: bool) -> bool:
    display = rules.get("display", "")
    if display == "none" or (is_hidden and not display):
        return True
    clips = "hidden" in (rules.get("overflow", ""), rules.get("overflow-x", ""), rules.get("overflow-y", ""))
    return clips and any(_is_nothing(rules.get(name, "")) for name in ("height", "max-height", "width", "max-width"))


def _inherited(parent: bool, value: str, hiding: tuple[str, ...]) -> bool:
    return parent if value in ("", "inherit", "unset") else value not in hiding


def _font_has_size(parent: bool, value: str) -> bool:
    if not value or (not parent and value.endswith(_RELATIVE) and not value.endswith("rem")):
        return parent
    return not _is_nothing(value)


def _is_nothing(value: str) -> bool:
    return bool(value) and _NOTHING.fullmatch(value) is not None
