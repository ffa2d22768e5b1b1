"""Verifies a sender by the Authentication-Results of our own mail server (RFC 8601 §5)."""

import re
from collections.abc import Sequence

from parvis.common.contract.contact import Verification

_METHODS = ("spf", "dkim", "dmarc", "arc")
_RESULT = re.compile(r"\s*([a-z-]{1,20})(?:\s*/\s*\d{1,4})?\s*=\s*([a-z]{1,20})\b", re.IGNORECASE)
_FROM = re.compile(r"\bheader\.from\s*=\s*@?([a-z0-9.-]{1,253})", re.IGNORECASE)
_PIECE = re.compile(r'\\.|["();]|[^\\"();]+', re.DOTALL)


def verify_sender(results: Sequence[str], *, authserv_id: str, sender: str) -> Verification:
    """The level that our own mail server's verdict gives the address in From.

    Shape:  results topmost first; the first of our own name counts, what stands below it came with the mail.
    Gives:  `domain` when DMARC passed for the very domain in From, else `none`; the verdicts as our server gave them.
    Source: RFC 8601 §2.2: comments anywhere, quoted strings, a version behind the name.
    """
    own = next((parts for parts in map(_parts, results) if authserv_id and _server(parts) == authserv_id.lower()), None)
    if own is None:
        return Verification(level="none", evidence="no verdict of our own mail server")
    verdicts: dict[str, str] = {}
    domain = ""
    for part in own[1:]:
        match = _RESULT.match(part)
        method, verdict = (match[1].lower(), match[2].lower()) if match else ("", "")
        if method not in _METHODS or (method in verdicts and (method, verdict) != ("dkim", "pass")):
            continue  # the first counts; of several signatures, one that holds
        verdicts[method] = verdict
        if method == "dmarc" and (named := _FROM.search(part)):
            domain = named[1].lower().rstrip(".")
    passed = verdicts.get("dmarc") == "pass" and domain in ("", sender.rpartition("@")[2].lower())
    return Verification(
        level="domain" if passed and sender else "none",
        evidence=" ".join(f"{method}={verdict}" for method, verdict in sorted(verdicts.items())) or "no verdict given",
        spf=verdicts.get("spf"),
        dkim=verdicts.get("dkim"),
        dmarc=verdicts.get("dmarc"),
    )


def _parts(value: str) -> list[str]:
    """A field, cut at its semicolons, without its comments; of a quoted string only that it was there.

    A sender chooses the values of properties: quoted or in a comment, they may hold anything; else no semicolon.
    """
    parts, depth, quoted = [""], 0, False
    for piece in _PIECE.findall(value):
        if piece == '"' and not depth:
            quoted = not quoted
            parts[-1] += '"'
        elif not quoted and piece in "()":
            depth = max(0, depth + (1 if piece == "(" else -1))
            parts[-1] += " "
        elif piece == ";" and not quoted and not depth:
            parts.append("")
        elif not depth and (not quoted or len(parts) == 1):
            parts[-1] += piece
    return parts


def _server(parts: Sequence[str]) -> str:
    """The authserv-id: the first word, before its version."""
    words = parts[0].replace('"', " ").split()
    return words[0].lower() if words else ""
