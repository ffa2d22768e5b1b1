"""Generates the workload route-12: seeded contacts in Parvis's own format, twenty rules, twelve departments. Deterministic."""

import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from parvis.common.bus.cloudevents import Record, build_record
from parvis.common.contract.contact import (
    Attachment,
    ClaimCheck,
    ContactId,
    ContactPersonalData,
    ContactPoint,
    ContactReceived,
    Verification,
)
from parvis.common.contract.references import make_reference
from parvis.common.contract.topics import CONTACT_RECEIVED

FACTS: dict[str, Any] = json.loads(Path(__file__).with_name("route12.json").read_text(encoding="utf-8"))
DEPARTMENTS = sorted({"triage", *(rule["department"] for rule in FACTS["rules"])})
_TOWN = Path(__file__).parents[3] / "config" / "example-town"
_BEGIN = datetime(2026, 11, 23, 6, tzinfo=UTC)
_KEYWORD_SHARE, _QUOTE_SHARE, _ATTACHMENT_SHARE = 0.88, 0.3, 0.15
_POST = "{} rue des Lilas\n00100 Val-Exemple"
_TO = {
    "sms": "+33536490100", "whatsapp": "+33536490100", "phone": "+33536490101", "counter": "desk-1",
    "email": "mairie@example-town.example", "web": "general-question", "post": "scanner-1",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sent:
    """One contact with its Kafka key of 14 bytes, as in route-12: the cost of a partitioner in Python depends on the key's length."""

    key: str
    contact: ContactReceived

    def record(self, prefix: str) -> Record:
        id_ = self.contact.contact_id
        return build_record(
            self.contact,
            topic=CONTACT_RECEIVED.full_name(prefix),
            key=self.key,
            event_id=id_,
            source="bench",
            subject=id_,
            time=self.contact.recorded_at,
        )


def contacts(count: int, *, seed: int = FACTS["seed"]) -> Iterator[Sent]:
    """The contacts of route-12: the same draws from the same seed give the same texts.

    Gives: contacts with distinct sender hashes, so that each opens a conversation: the worst case for the router's rows.
           Telephone numbers repeat, because only twenty thousand are reserved for fiction; the router uses the hash.
    """
    chance = random.Random(seed)  # noqa: S311 (seeded, so that every contender gets the same)
    for number in range(count):
        yield _contact(chance, number)


def _contact(chance: random.Random, number: int) -> Sent:
    words: list[str] = FACTS["words"]
    text = _text(chance, words)
    key = f"c-{chance.getrandbits(48):012x}"
    channel, language = chance.choice(FACTS["channels"]), chance.choice(FACTS["languages"])
    id_ = ContactId(str(UUID(int=chance.getrandbits(128))))
    received_at = _BEGIN + timedelta(seconds=number % 3600, milliseconds=chance.randrange(1000))
    digits = chance.randrange(10**8)
    name = f"{chance.choice(words).title()} {chance.choice(words).title()}"
    subject = " ".join(chance.choice(words) for _ in range(5))
    files = _file(chance, id_) if chance.random() < _ATTACHMENT_SHARE else {}
    return Sent(
        key,
        ContactReceived(
            contact_id=id_,
            reference=make_reference(id_),
            channel=channel,
            received_at=received_at,
            recorded_at=received_at + timedelta(milliseconds=9),
            to=_TO[channel],
            language=language,
            sender=Verification(level="provider"),
            original=_claim(id_, "message/rfc822", len(text)),
            attachments=tuple(files.values()),
            contact_point_hash=f"v1.{_sha256(key)[:40]}",
            personal=ContactPersonalData.model_validate(
                {
                    "from": _point(channel, digits), "display_name": name, "subject": subject, "text": text,
                    "file_names": tuple(files),
                }
            ),
        ),
    )  # fmt: skip


def _text(chance: random.Random, words: list[str]) -> str:
    longest, drawn, size = chance.randint(400, 700), list[str](), 0
    while size < longest:
        drawn.append(chance.choice(words))
        size += len(drawn[-1]) + 1
    if chance.random() < _KEYWORD_SHARE:
        drawn.insert(chance.randrange(len(drawn)), chance.choice(FACTS["keywords"]))
    text = " ".join(drawn)[: longest + 25].capitalize()
    return text.replace(" merci ", '.\nMerci "beaucoup" ') if chance.random() < _QUOTE_SHARE else text


def _file(chance: random.Random, id_: str) -> dict[str, Attachment]:
    name, size_bytes = f"p{chance.randrange(99)}.pdf", chance.randrange(10**6)
    return {name: Attachment.from_claim_check(_claim(f"{id_}:{name}", "application/pdf", size_bytes))}


def _claim(name: str, media_type: str, size_bytes: int) -> ClaimCheck:
    sha256 = _sha256(name)
    blob = f"{name.partition(':')[0]}/{sha256}"
    return ClaimCheck(blob=blob, sha256=sha256, size_bytes=size_bytes, media_type=media_type)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _point(channel: str, digits: int) -> ContactPoint:
    if channel in ("email", "web"):
        return ContactPoint(kind="email", value=f"c{digits:08d}@citizen.example")
    if channel == "post":
        return ContactPoint(kind="post", value=_POST.format(digits % 200))
    return ContactPoint(kind="phone", value=f"+3363998{digits % 10_000:04d}")


def write_town(folder: Path, *, rules: int = len(FACTS["rules"])) -> Path:
    """Write a configuration with these departments and `rules` rules: first those of route-12, then some that hardly ever match."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "procedures").mkdir(parents=True)
    (folder / "town.yaml").write_bytes((_TOWN / "town.yaml").read_bytes())
    shutil.copytree(_TOWN / "templates", folder / "templates")
    _write(folder / "departments.yaml", {"departments": [_department(slug) for slug in DEPARTMENTS]})
    route12_rules = [_rule(row) for row in FACTS["rules"]]
    _write(folder / "rules.yaml", {"rules": (route12_rules + _more_rules(max(0, rules - len(route12_rules))))[:rules]})
    return folder


def _write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")  # JSON is YAML


def _department(slug: str) -> dict[str, Any]:
    name = slug.capitalize()
    return {
        "slug": slug, "name": {"fr": name, "en": name}, "summary": {"fr": f"{name}.", "en": f"{name}."},
        "phone": "+33536490101", "email": f"{slug}@example-town.example",
        "address": ["Mairie de Val-Exemple", "00100 Val-Exemple"],
        "opening_hours": {"fr": "le lundi, 9 h à 12 h", "en": "Monday, 9 am to 12 noon"},
    }  # fmt: skip


def _rule(row: dict[str, Any]) -> dict[str, Any]:
    stated: dict[str, Any] = {"channel": row.get("channels"), "language": row.get("languages")}
    condition = {"words": {"any": row["contains"]}} if "contains" in row else {"patterns": [row["regex"]]}
    when = {name: value for name, value in stated.items() if value} | condition
    return {"id": row["id"], "when": when, "then": {"department": row["department"]}}


def _more_rules(count: int) -> list[dict[str, Any]]:
    """Rules as in a large town: three phrases each, of words that occur in the texts but hardly ever in this order."""
    chance, words = random.Random(12), FACTS["words"]  # noqa: S311
    return [
        {
            "id": f"more-{number}",
            "when": {"words": {"any": [" ".join(chance.sample(words, 3)) for _ in range(3)]}},
            "then": {"department": DEPARTMENTS[number % len(DEPARTMENTS)]},
        }
        for number in range(count)
    ]
