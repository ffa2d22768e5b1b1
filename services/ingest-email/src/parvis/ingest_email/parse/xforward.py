"""Parses the arguments of the SMTP extensions XFORWARD and XCLIENT. Pure; no I/O."""

import re

NAMES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")
_UNKNOWN = ("[UNAVAILABLE]", "[TEMPUNAVAIL]")
_ENCODED = re.compile(r"\+([0-9A-F]{2})")
_LONGEST = 255


def parse_attributes(argument: str) -> dict[str, str] | None:
    """The attributes by name, in xtext (RFC 3461 §4) decoded; one the server does not know itself is left out.

    Gives:  none when it is no list of attributes.
    Source: Postfix, XFORWARD_README and XCLIENT_README.
    """
    attributes: dict[str, str] = {}
    for part in argument.split():
        name, equals, value = part.partition("=")
        if not equals or not name.isalpha():
            return None
        if value.upper() not in _UNKNOWN:
            attributes[name.upper()] = _ENCODED.sub(lambda code: chr(int(code[1], 16)), value)[:_LONGEST]
    return attributes


def client_address(attributes: dict[str, str]) -> str:
    """The client's IP address; empty when it is not told."""
    address = attributes.get("ADDR", "")
    return address[5:] if address.upper().startswith("IPV6:") else address
