"""Decides when a batch of letters is due, and builds its name and manifest. Pure; no I/O."""

import csv
import io
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from parvis.notifier.models.letter import ManifestLetter, UnbatchedLetters

_COLUMNS: tuple[str, ...] = (
    "file",
    "sha256",
    "size_bytes",
    "pages",
    "country",
    "reference",
    "delivery_id",
    "written_at",
)
_FRENCH_LINE = re.compile(r"(?:F-?)?[0-9]{5}\s+\S")
# The last line of an address abroad, in French as La Poste demands or in English. Other names stay as they are.
_COUNTRIES: Mapping[str, str] = {
    "ALGERIE": "DZ", "ALGERIA": "DZ", "ALLEMAGNE": "DE", "GERMANY": "DE", "AUTRICHE": "AT", "AUSTRIA": "AT", "BELGIQUE": "BE",
    "BELGIUM": "BE", "BULGARIE": "BG", "BULGARIA": "BG", "CANADA": "CA", "CHYPRE": "CY", "CYPRUS": "CY", "CROATIE": "HR",
    "CROATIA": "HR", "DANEMARK": "DK", "DENMARK": "DK", "ESPAGNE": "ES", "SPAIN": "ES", "ESTONIE": "EE", "ESTONIA": "EE",
    "ETATS-UNIS": "US", "USA": "US", "UNITED STATES": "US", "FINLANDE": "FI", "FINLAND": "FI", "FRANCE": "FR", "GRECE": "GR",
    "GREECE": "GR", "HONGRIE": "HU", "HUNGARY": "HU", "IRLANDE": "IE", "IRELAND": "IE", "ITALIE": "IT", "ITALY": "IT",
    "LETTONIE": "LV", "LATVIA": "LV", "LITUANIE": "LT", "LITHUANIA": "LT", "LUXEMBOURG": "LU", "MALTE": "MT", "MALTA": "MT",
    "MAROC": "MA", "MOROCCO": "MA", "MONACO": "MC", "NORVEGE": "NO", "NORWAY": "NO", "PAYS-BAS": "NL", "NETHERLANDS": "NL",
    "POLOGNE": "PL", "POLAND": "PL", "PORTUGAL": "PT", "ROUMANIE": "RO", "ROMANIA": "RO", "ROYAUME-UNI": "GB",
    "UNITED KINGDOM": "GB", "SENEGAL": "SN", "SLOVAQUIE": "SK", "SLOVAKIA": "SK", "SLOVENIE": "SI", "SLOVENIA": "SI",
    "SUEDE": "SE", "SWEDEN": "SE", "SUISSE": "CH", "SWITZERLAND": "CH", "TCHEQUIE": "CZ", "CZECHIA": "CZ", "TUNISIE": "TN",
    "TUNISIA": "TN", "TURQUIE": "TR", "TURKEY": "TR", "UKRAINE": "UA",
}  # fmt: skip
_BATCH_NAME = re.compile(r"batch-[0-9]{4}-[0-9]{2}-[0-9]{2}-[1-9][0-9]{0,8}")
_NOT_IN_COUNTRY_NAME = re.compile(r"[^\w' -]")
_PLAIN = str.maketrans("ÉÈÊËÀÂÎÏÔÛÙÇ", "EEEEAAIIOUUC")


def is_batch_due(waiting: UnbatchedLetters, now: datetime, *, at: time, zone: ZoneInfo, most: int) -> bool:
    """Whether to make a batch: the batch hour has passed since the oldest letter was written, or there are enough letters."""
    if waiting.since is None:
        return False
    local = now.astimezone(zone)
    today = local.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    last = today if today <= local else today - timedelta(days=1)
    return waiting.count >= most or waiting.since <= last


def batch_name(now: datetime, zone: ZoneInfo, known: Collection[str]) -> str:
    """The next free name of the day in the town's time zone: `batch-2026-11-23-1`."""
    day = batch_day(now, zone)
    number = 1
    while f"{day}{number}" in known:
        number += 1
    return f"{day}{number}"


def is_batch_name(name: str) -> bool:
    return _BATCH_NAME.fullmatch(name) is not None


def batch_day(now: datetime, zone: ZoneInfo) -> str:
    return f"batch-{now.astimezone(zone).date().isoformat()}-"


def country_of(address: str) -> str:
    """The country of an address by ISO 3166-1, if we know it; else the address's last line."""
    last = address.strip().split("\n")[-1].strip()
    if _FRENCH_LINE.match(last):
        return "FR"
    return _COUNTRIES.get(" ".join(last.upper().translate(_PLAIN).split()), last.upper()[:40])


def build_manifest(name: str, made_at: datetime, letters: Sequence[ManifestLetter]) -> Mapping[str, bytes]:
    """The manifest of a batch as JSON and CSV, by file name."""
    rows = [_row(letter) for letter in letters]
    whole = {
        "batch": name,
        "made_at": made_at.isoformat(),
        "count": len(rows),
        "pages": sum(letter.pages for letter in letters),
        "letters": rows,
    }
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, _COLUMNS, lineterminator="\r\n")  # RFC 4180
    writer.writeheader()
    writer.writerows(rows)
    return {
        "manifest.json": (json.dumps(whole, ensure_ascii=False, indent=1) + "\n").encode(),
        "manifest.csv": table.getvalue().encode(),
    }


def _row(letter: ManifestLetter) -> dict[str, str | int]:
    values = asdict(letter) | {"file": letter.file_name, "written_at": letter.written_at.isoformat()}
    # The value comes from outside, and a spreadsheet takes a text that begins with = or @ for a formula.
    values["country"] = _NOT_IN_COUNTRY_NAME.sub("", letter.country).strip("- ")
    return {column: values[column] for column in _COLUMNS}
