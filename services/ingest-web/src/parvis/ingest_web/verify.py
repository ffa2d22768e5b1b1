"""What comes back with a form, checked: our own page, our tokens, the files that we kept from an earlier try."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Request
from pydantic import ValidationError

from parvis.common.contact import ClaimCheck
from parvis.ingest_web.tables import File
from parvis.web import tokens
from parvis.web.http import is_same_origin
from parvis.web.tokens import Once


@dataclass(frozen=True)
class Kept:
    """A file of an earlier try: already stored, and named in the page under our seal."""

    file: File
    claim: ClaimCheck


@dataclass(frozen=True)
class Guard:
    """Knows our own forms. The one-time token names the contact, the CSRF token says that the form was ours."""

    key: bytes
    public_url: str
    lasts: timedelta

    def comes_from_our_page(self, request: Request) -> bool:
        return is_same_origin(request, self.public_url)

    def new_once(self, procedure: str, now: datetime) -> str:
        return tokens.once_token(f"form:{procedure}", self.key, now)

    def read_once(self, text: str, procedure: str) -> Once | None:
        return tokens.read_once(text, f"form:{procedure}", self.key)

    def is_stale(self, once: Once, now: datetime) -> bool:
        return once.is_older_than(self.lasts, now)

    def csrf(self, procedure: str, now: datetime) -> str:
        return tokens.csrf_token(f"form:{procedure}", self.key, now)

    def is_csrf(self, text: str, procedure: str, now: datetime) -> bool:
        """Holds as long again as the form: a page sent twice, late, still finds its receipt."""
        return tokens.is_csrf_token(text, f"form:{procedure}", self.key, now, lasts=self.lasts * 30)

    def seal(self, kept: Kept) -> str:
        return tokens.seal({"name": kept.file.name, "claim": kept.claim.model_dump()}, "kept-file", self.key)

    def unseal(self, sealed: Iterable[str]) -> list[Kept]:
        """The kept files; what we did not seal is left out."""
        found: list[Kept] = []
        for text in sealed:
            values = tokens.unseal(text, "kept-file", self.key)
            if not values:
                continue
            try:
                claim = ClaimCheck.model_validate(values["claim"])
            except ValidationError:
                continue
            file = File(values["name"], b"", claim.size_bytes, claim.media_type, claim.sha256)
            found.append(Kept(file, claim))
        return found
