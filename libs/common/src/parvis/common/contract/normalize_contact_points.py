"""Normalises telephone numbers, mail addresses and postal addresses into contact points, and hashes them. Pure; no I/O."""

import hashlib
import hmac
import re

import idna

from parvis.common.contract.channels import ContactPointKind
from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.errors import Rejected
from parvis.common.text.invisible_characters import remove_invisible_characters
from parvis.common.text.telephone import parse_e164

# Labels of letters, digits and hyphens, the last not of digits alone (RFC 1123 §2.1); some hosts have underscores.
_ASCII_DOMAIN = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*(?![0-9]+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_NOTE = re.compile(r"(?<=\S)\s+\([^()@]{0,80}\)\s*$")  # « a@b.example (le soir) »: a comment of RFC 5322
_NAME_AND_ADDRESS = re.compile(r"[^<>]{0,200}<([^<>]+)>")


def phone_contact_point(text: str, *, region: str = "FR") -> ContactPoint:
    """A telephone number as a contact point.

    Raises: Rejected, if the text is not a possible number (see `parse_e164`).
    """
    return ContactPoint(kind="phone", value=parse_e164(text, region))


def email_contact_point(text: str) -> ContactPoint:
    """A mail address as a contact point: lower-cased, without display name.

    Shape:  as people type and copy it: `Name <address>`, `mailto:address?subject=…`, with a comma or a note in
            parentheses behind it, invisible characters or the root's dot.
    Raises: Rejected, if it lacks a local part or a domain of two labels, has a second @, a space, a control character, or dots that are not single and
            between other characters (RFC 5321 §4.1.2), or is longer than 254 characters, its local part than 64 (§4.5.3.1);
            or if a character of it could not be read (U+FFFD).
    """
    typed = _NOTE.sub("", remove_invisible_characters(text))
    if named := _NAME_AND_ADDRESS.fullmatch(typed):
        typed = named[1].strip()
    address = typed.rstrip(",;").removesuffix(".").lower()
    if address.startswith("mailto:"):
        address = address.removeprefix("mailto:").partition("?")[0]  # RFC 6068: the rest is a subject or a body
    local, at, domain = address.rpartition("@")
    if not (local and at and domain) or len(address) > 254 or any(c.isspace() or not c.isprintable() for c in address):
        raise Rejected("not a mail address")
    if (
        len(local) > 64
        or any(c in address for c in '<>,;:"()[]\\\ufffd')
        or "@" in local
        or "" in local.split(".")
        or "" in domain.split(".")
    ):
        raise Rejected("not a mail address")
    if "." not in (
        mapped := _map_domain(domain)
    ):  # the rest of `zoe@citizen,example`; no mail host is so named (RFC 7085)
        raise Rejected("not a mail address")
    return ContactPoint(kind="email", value=f"{local}@{mapped}")


def _map_domain(domain: str) -> str:
    """A domain outside ASCII in the form of UTS 46 and IDNA 2008, however it was written; one inside ASCII stays as it is.

    Mail servers write `xn--…` and people the letters: both are one mailbox, with one STOP and one budget.
    """
    if domain.isascii():
        if not _ASCII_DOMAIN.fullmatch(domain):
            raise Rejected("not a mail address")
        return _decode_labels(domain)
    try:
        return idna.decode(idna.encode(domain, uts46=True))
    except idna.IDNAError as error:
        raise Rejected("not a mail address") from error


def _decode_labels(domain: str) -> str:
    """The letters of a domain with `xn--` labels; it stays as it is, if they are no labels of IDNA 2008."""
    if not any(label.startswith("xn--") for label in domain.split(".")):
        return domain
    try:
        return idna.decode(domain)
    except idna.IDNAError:
        return domain


def mailbox_of(point: ContactPoint) -> ContactPoint:
    """The mailbox that receives an address: without the part behind a plus (RFC 5233). For limits only: it may be no address of its own."""
    local, _, domain = point.value.rpartition("@")
    name = local.partition("+")[0]
    return ContactPoint(kind=point.kind, value=f"{name}@{domain}") if point.kind == "email" and name else point


def postal_contact_point(text: str) -> ContactPoint:
    """A postal address as a contact point: its lines, trimmed, without empty ones.

    Raises: Rejected, if there are fewer than two or more than seven lines.
    """
    lines = [" ".join(line.split()) for line in text.splitlines()]
    lines = [line for line in lines if line]
    if not 2 <= len(lines) <= 7:
        raise Rejected("a postal address has two to seven lines")
    return ContactPoint(kind="post", value="\n".join(lines))


def parse_contact_point(kind: ContactPointKind, text: str) -> ContactPoint:
    """An address of the given kind as a contact point. Raises: Rejected, if it is not a valid one."""
    match kind:
        case "phone":
            return phone_contact_point(text)
        case "email":
            return email_contact_point(text)
        case "post":
            return postal_contact_point(text)


def hash_contact_point(point: ContactPoint, key: bytes) -> str:
    """The pseudonym of a contact point for Kafka keys, logs and budgets: HMAC-SHA-256 with PARVIS_CONTACT_POINT_KEY, versioned."""
    digest = hmac.new(key, f"{point.kind}:{point.value}".encode(), hashlib.sha256).hexdigest()
    return f"v1.{digest[:40]}"
