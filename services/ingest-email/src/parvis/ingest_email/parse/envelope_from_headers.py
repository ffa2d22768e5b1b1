"""Reconstructs the envelope of a mail in a mailbox from the headers its host added. Pure; no I/O."""

import re
from dataclasses import dataclass

from parvis.ingest_email.parse.mime.headers import Headers, first_address, parse_headers

UNKNOWN_SENDER = "not-said"  # no address, and not the null sender either
_ADDRESS = re.compile(r"[^\s<>,;:\"()]{1,128}@[^\s<>,;:\"()]{1,253}")
_READ_CHARACTERS = 4000
_DELIVERED = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to")
_WRITTEN = ("to", "cc")


@dataclass(frozen=True)
class DeliveredEnvelope:
    """Who sent it, empty for the null sender, and the addresses it may have been delivered to, the likeliest first."""

    sender: str
    recipients: tuple[str, ...]


def read_envelope(head: bytes) -> DeliveredEnvelope:
    """What the mailbox's host wrote down; the topmost field of a name is the last that was added.

    Gives:  a null sender only where Return-Path says `<>`: a host that writes none does not make citizens machines.
    """
    headers = parse_headers(head)
    recipients = [address for name in _DELIVERED for address in _find_addresses(headers, name)[:1]]
    recipients += [address for name in _WRITTEN for address in _find_addresses(headers, name)]
    return DeliveredEnvelope(_sender(headers), tuple(dict.fromkeys(recipients)))


def _sender(headers: Headers) -> str:
    path = headers.raw("return-path").strip()
    if path == "<>":
        return ""
    return first_address(path)[0] or headers.address("from")[0] or UNKNOWN_SENDER


def _find_addresses(headers: Headers, name: str) -> list[str]:
    return _ADDRESS.findall(headers.raw(name)[:_READ_CHARACTERS])[:50]
