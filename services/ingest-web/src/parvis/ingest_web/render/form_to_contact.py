"""Converts a submitted form into its canonical bytes and its ContactReceived event. Pure; no I/O."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.contact import (
    Attachment,
    ClaimCheck,
    ContactId,
    ContactPersonalData,
    ContactReceived,
    MachineSent,
    Verification,
)
from parvis.common.contract.daily_source_pseudonyms import hash_sources
from parvis.common.contract.normalize_contact_points import hash_contact_point
from parvis.common.contract.references import make_reference
from parvis.common.town.form_fields import ConsentField, LongTextField
from parvis.common.town.models import Procedure, localized
from parvis.ingest_web.models.form import FilledForm, FormFile
from parvis.web.format_form_answers import format_answer

# Of JSON. They keep the event below 64 KiB; the original has the whole text.
MAX_TEXT_BYTES = 28 * 1024
MAX_ANSWERS_BYTES = 20 * 1024


def canonical_bytes(
    procedure: Procedure, fields: Mapping[str, Sequence[str]], files: Mapping[str, Sequence[FormFile]]
) -> bytes:
    """The form as canonical JSON, with every typed character (line ends are line feeds): equal content gives equal bytes."""
    inputs = {name: list(values) for name, values in fields.items() if not name.startswith("_") or name == "_website"}
    attached = [
        {"field": name, "name": f.name, "media_type": f.media_type, "size_bytes": f.size_bytes, "sha256": f.sha256}
        for name, in_field in files.items()
        for f in in_field
    ]
    content = {"form": procedure.slug, "fields": inputs, "files": attached}
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class AcceptanceMetadata:
    """The values that acceptance adds to a filled form."""

    contact_id: ContactId
    received_at: datetime
    recorded_at: datetime
    original: ClaimCheck
    attachments: tuple[Attachment, ...]
    text_overflow: ClaimCheck | None
    evidence: str
    sources: Sequence[str] = ()


def make_web_contact(
    filled: FilledForm, procedure: Procedure, language: str, accepted: AcceptanceMetadata, *, hashing_key: bytes
) -> ContactReceived:
    """The event of a form: subject and text for agents and rules, and the answers by field name."""
    return ContactReceived(
        contact_id=accepted.contact_id,
        reference=make_reference(accepted.contact_id),
        channel="web",
        received_at=accepted.received_at,
        recorded_at=accepted.recorded_at,
        to=procedure.slug,
        procedure=procedure.slug,
        language=language,
        sender=Verification(level="none", evidence=accepted.evidence),
        machine=MachineSent(reason="honeypot") if filled.filled_honeypot else None,
        original=accepted.original,
        attachments=accepted.attachments,
        text_overflow=accepted.text_overflow,
        contact_point_hash=hash_contact_point(filled.sender, hashing_key) if filled.sender else None,
        sources=hash_sources(accepted.sources, accepted.received_at, hashing_key),
        personal=ContactPersonalData.model_validate(
            {
                "from": filled.sender,
                "display_name": filled.name,
                "subject": form_subject(filled, procedure, language),
                "text": truncate_to_json_size(form_text(filled, procedure, language), MAX_TEXT_BYTES),
                "answers": truncate_answers(filled.answers),
                "file_names": tuple(file.name for in_field in filled.files.values() for file in in_field),
                "reply_channels": (filled.reply,) if filled.reply else (),
            }
        ),
    )


def form_subject(filled: FilledForm, procedure: Procedure, language: str) -> str:
    """The procedure's title, preceded by the subject that the citizen typed, if the form has such a field."""
    title = localized(procedure.title, language)
    own_subject = filled.answers.get("subject", "")
    is_own = any(f.name == "subject" and f.type == "text" for f in procedure.form)
    return f"{own_subject} ({title})" if own_subject and is_own else title


def form_text(filled: FilledForm, procedure: Procedure, language: str) -> str:
    """The form as readable text: free text first, then one line per answer."""
    free = [filled.answers[f.name] for f in procedure.form if isinstance(f, LongTextField) and f.name in filled.answers]
    colon = " :" if language == "fr" else ":"
    facts = [
        f"{localized(f.label, language)}{colon} {', '.join(format_answer(f, filled.answers[f.name], language).splitlines())}"
        for f in procedure.form
        if f.name in filled.answers and not isinstance(f, LongTextField | ConsentField)
    ]
    return "\n\n".join([*free, "\n".join(facts)] if facts else free)


def fits_event(text: str) -> bool:
    return len(json.dumps(text, ensure_ascii=False).encode()) <= MAX_TEXT_BYTES


def truncate_to_json_size(text: str, room_bytes: int) -> str:
    """The longest prefix whose JSON fits into `room_bytes`; escaped characters count twice."""
    if len(json.dumps(text, ensure_ascii=False).encode()) <= room_bytes:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        fits = len(json.dumps(text[:middle], ensure_ascii=False).encode()) <= room_bytes
        low, high = (middle, high) if fits else (low, middle - 1)
    return text[:low]


def truncate_answers(answers: Mapping[str, str]) -> dict[str, str]:
    """The answers, with long ones cut if together they are too long for the event."""
    room_bytes = MAX_ANSWERS_BYTES
    while len(json.dumps(answers, ensure_ascii=False).encode()) > MAX_ANSWERS_BYTES:
        room_bytes //= 2
        answers = {name: truncate_to_json_size(answer, room_bytes) for name, answer in answers.items()}
    return dict(answers)
