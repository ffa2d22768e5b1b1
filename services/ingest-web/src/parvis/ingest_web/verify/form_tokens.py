"""Issues and verifies the tokens that a form carries: one-time, CSRF, review, proof of work, sealed files."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Request
from pydantic import ValidationError

from parvis.common.contract.contact import Attachment
from parvis.ingest_web.models.form import FormFile, StoredFile
from parvis.web import tokens
from parvis.web.security_headers import is_same_origin
from parvis.web.tokens import OneTimeToken


@dataclass(frozen=True)
class FormTokens:
    """Issues and verifies a form's tokens. The one-time token names the contact, the CSRF token proves that the form is ours."""

    key: bytes
    public_url: str
    lifetime: timedelta
    shortest_fill_time: timedelta
    work_bits: int
    wait_instead: timedelta

    def is_same_origin(self, request: Request) -> bool:
        return is_same_origin(request, self.public_url)

    def make_one_time_token(self, procedure: str, now: datetime) -> str:
        return tokens.make_one_time_token(f"form:{procedure}", self.key, now)

    def read_one_time_token(self, text: str, procedure: str) -> OneTimeToken | None:
        return tokens.read_one_time_token(text, f"form:{procedure}", self.key)

    def is_expired(self, once: OneTimeToken, now: datetime) -> bool:
        return once.is_older_than(self.lifetime, now)

    def make_csrf_token(self, procedure: str, now: datetime) -> str:
        return tokens.make_csrf_token(f"form:{procedure}", self.key, now)

    def is_valid_csrf_token(self, text: str, procedure: str, now: datetime) -> bool:
        """Whether the token is ours; it outlives the form, so that a page sent again late still leads to its receipt."""
        return tokens.is_valid_csrf_token(text, f"form:{procedure}", self.key, now, lasts=self.lifetime * 30)

    def make_review_token(self, once: OneTimeToken, now: datetime) -> str:
        """A token that proves that this form was shown for review."""
        return tokens.make_csrf_token(f"seen:{once.seed}", self.key, now)

    def was_reviewed(self, text: str, once: OneTimeToken, now: datetime) -> bool:
        return tokens.is_valid_csrf_token(text, f"seen:{once.seed}", self.key, now, lasts=self.lifetime * 30)

    def is_too_quick(self, once: OneTimeToken, now: datetime) -> bool:
        """Whether the page was open for too short a time to be read."""
        return now - once.issued_at < self.shortest_fill_time

    def make_wait_token(self, once: OneTimeToken, now: datetime) -> str:
        return tokens.make_csrf_token(f"wait:{once.seed}", self.key, now)

    def has_proof_of_work(self, once: OneTimeToken, proof: str, waited: str, now: datetime) -> bool:
        """Whether the browser solved the proof of work for this form, or the citizen waited instead.

        Both are bound to the one-time token and therefore valid for one contact.
        """
        digest = hashlib.sha256(f"{once.seed}.{proof[:40]}".encode("utf-8", "replace")).digest()
        if proof and int.from_bytes(digest[:8], "big") >> (64 - self.work_bits) == 0:
            return True
        binding = f"wait:{once.seed}"
        was_given = tokens.is_valid_csrf_token(waited, binding, self.key, now, lasts=self.lifetime)
        return was_given and not tokens.is_valid_csrf_token(waited, binding, self.key, now, lasts=self.wait_instead)

    def seal_file(self, stored: StoredFile) -> str:
        return tokens.sign_values({"name": stored.file.name, "claim": stored.claim.model_dump()}, "kept-file", self.key)

    def unseal_files(self, sealed: Iterable[str]) -> list[StoredFile]:
        """The stored files behind these seals; invalid seals are ignored."""
        files: list[StoredFile] = []
        for text in sealed:
            values = tokens.read_signed_values(text, "kept-file", self.key)
            if not values:
                continue
            try:
                claim = Attachment.model_validate(values["claim"])
            except ValidationError:
                continue
            file = FormFile(values["name"], claim.size_bytes, claim.media_type, claim.sha256)
            files.append(StoredFile(file, claim))
        return files
