"""Authentication-Results in, how far the sender is who the mail says out; only our own server's word counts (RFC 8601 §5)."""

import re
from collections.abc import Sequence

from parvis.common.contact import Verification

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_COMMENT = re.compile(r"\([^()]*\)")
_RESULT = re.compile(r"^\s*(spf|dkim|dmarc|arc)\s*=\s*([a-z]{1,20})\b", re.IGNORECASE)
_FROM = re.compile(r"\bheader\.from\s*=\s*@?([a-z0-9.-]{1,253})", re.IGNORECASE)


def verify_sender(results: Sequence[str], *, authserv_id: str, sender: str) -> Verification:
    """The level that our own mail server's verdict gives the address in From.

    Shape:  results topmost first; the first of our own name counts, what stands below it came with the mail.
    Gives:  `domain` when DMARC passed for the very domain in From, else `none`; the evidence has all verdicts.
    """
    own = next((value for value in results if authserv_id and _server(value) == authserv_id.lower()), None)
    if own is None:
        return Verification(level="none", evidence="no verdict of our own mail server")
    verdicts: dict[str, str] = {}
    domain = ""
    # A sender chooses the values of properties: quoted, they may hold anything; unquoted, no semicolon.
    for part in _COMMENT.sub(" ", _QUOTED.sub('""', own)).split(";")[1:]:
        found = _RESULT.match(part)
        if found and found[1].lower() not in verdicts:
            verdicts[found[1].lower()] = found[2].lower()
            if found[1].lower() == "dmarc" and (named := _FROM.search(part)):
                domain = named[1].lower()
    passed = verdicts.get("dmarc") == "pass" and domain in ("", sender.rpartition("@")[2].lower())
    evidence = " ".join(f"{method}={verdict}" for method, verdict in sorted(verdicts.items()))
    return Verification(level="domain" if passed and sender else "none", evidence=evidence or "no verdict given")


def _server(value: str) -> str:
    """The authserv-id: the first word, before its version."""
    words = _COMMENT.sub(" ", value).partition(";")[0].split()
    return words[0].lower() if words else ""
