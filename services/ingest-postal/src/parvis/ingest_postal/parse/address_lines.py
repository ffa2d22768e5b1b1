"""Classifies one line of a postal address: name, street, town or country. Pure; no I/O."""

import re
from dataclasses import dataclass

from parvis.ingest_postal.parse.own_addresses import fold

_LONGEST_LINE = 120

_WAYS = (
    "rue|r|avenue|av|ave|boulevard|bd|bld|bvd|place|pl|chemin|ch|che|impasse|imp|allee|allees|all|route|rte|quai|cours|square|sq|"
    "passage|sentier|venelle|ruelle|montee|cote|faubourg|fbg|fg|esplanade|promenade|rond point|traverse|villa|cite|clos|hameau|"
    "mail|voie|residence|res|lotissement|lot|domaine|parc|port|pont|porte|val|vallee|rocade|"
    "street|st|road|rd|lane|ln|drive|dr|avenue|close|court|crescent|gardens|terrace|way|strasse|str|weg|platz|gasse|calle|via|viale|piazza|laan|straat"
)
_STREET = re.compile(
    rf"^(?:\d{{1,4}}(?: ?(?:bis|ter|quater|[a-d]))?(?: (?:a|et|-) \d{{1,4}})? )(?:{_WAYS})\b|^(?:{_WAYS})(?: \S+)+$|^\d{{1,4}} \D{{3,}}$"
)
_STREET_BEHIND = re.compile(
    rf"^\D{{3,}} (?:{_WAYS})(?: \d{{1,4}}[a-z]?)?$|^\w+(?:strasse|str|straat|weg|gasse|laan) \d{{1,4}}[a-z]?$|^(?:via|viale|calle|piazza|rua) .{{3,}} \d{{1,4}}$"
)
_BOX = re.compile(r"^(?:bp|cs|tsa|po box|boite postale|postfach)\s*\d{1,6}\b|\bbp \d{1,6}$")
_PLACE = re.compile(r"^(?:lieu ?dit|au lieu dit|ld|le bourg|le village|quartier|ferme|mas|moulin|chateau)\b")
_COMPLEMENT = re.compile(
    r"^(?:appt?|appartement|apt|etage|esc|escalier|bat|batiment|bâtiment|immeuble|imm|entree|porte|hall|tour|chez|c o|flat|resid\w*|\d(?:er|e|eme) etage)\b"
)
_HONORIFIC = re.compile(
    r"^(?:m|mm|mme|mmes|mlle|monsieur|madame|mademoiselle|mr|mrs|ms|miss|mx|dr|docteur|me|maitre|pr|professeur|herr|frau|sig|sra|sr|the|m et mme|monsieur et madame|madame et monsieur)\b"
)
_BODY = re.compile(
    r"^(?:sarl|sas|sasu|eurl|sci|sa|snc|gaec|earl|scp|selarl|association|assoc|asso|syndicat|syndic|cabinet|societe|ste|etude|entreprise|ets|etablissements|indivision|copropriete|amicale|comite|club|collectif|federation|agence|garage|boulangerie|ecole|college|lycee|paroisse)\b"
)
_NOT_A_NAME = re.compile(
    r"^(?:objet|concerne|lettre|recommande|courrier|date|le \d|p j|pj|copie|madame monsieur|monsieur le|madame la|madame le|monsieur la|"
    r"dear|to whom|subject|re|ref|reference|vos ref|nos ref|n |dossier|expediteur|destinataire|tel|telephone|email|mail|courriel|adresse|"
    r"a l attention|attention|bonjour|cher|chere|service|direction|urgent|confidentiel|facture|attestation|demande|certificat)\b"
)

# Departments of mainland and overseas France; 20 stands for both halves of Corsica. La Poste's ranges, 2024.
_DEPARTMENTS = frozenset(f"{number:02}" for number in range(1, 96)) | frozenset(("97", "98"))
_OVERSEAS = frozenset(("971", "972", "973", "974", "975", "976", "977", "978", "984", "986", "987", "988"))

_FRENCH_TOWN = re.compile(r"^(?P<street>.{0,80}?)[ ,;–-]*(?<!\d)(?:F-? ?|FR-? ?)?(?P<code>\d{2} ?\d{3})[ ,]+(?P<town>[^\W\d][^\d]{1,40}?)(?P<cedex> ?cedex(?: ?\d{1,2})?)?[ .,]*$", re.IGNORECASE)  # fmt: skip
_FOREIGN_TOWN = (
    re.compile(r"^(?:CH|B|L|A|DK|D|E|I)[- ]?\d{4,5} [^\W\d].{1,40}$"),
    re.compile(r"^\d{4} ?(?:[A-Z]{2} )?[^\W\d][^\d]{1,40}$"),
    re.compile(r"^(?:.{2,40}[ ,]+)?[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}$"),
    re.compile(r"^.{2,40}[ ,]+[A-Z]{2}[ ,]+\d{5}(?:-\d{4})?$"),
    re.compile(r"^.{2,40}[ ,(]+[A-Z]{2}\)?[ ,]+[A-Z]\d[A-Z] ?\d[A-Z]\d$"),
    re.compile(r"^\d{4}-\d{3} [^\W\d].{1,40}$"),
    re.compile(r"^\d{5} [^\W\d].{1,40}$"),
    re.compile(r"^\d{2}-\d{3} [^\W\d].{1,40}$"),
)
_COUNTRIES = frozenset(
    fold(name)
    for name in (
        "France", "Royaume-Uni", "United Kingdom", "UK", "Great Britain", "Angleterre", "England", "Scotland", "Écosse", "Wales", "Irlande", "Ireland",
        "Belgique", "Belgium", "België", "Luxembourg", "Suisse", "Switzerland", "Schweiz", "Allemagne", "Germany", "Deutschland", "Autriche",
        "Austria", "Österreich", "Italie", "Italy", "Italia", "Espagne", "Spain", "España", "Portugal", "Pays-Bas", "Netherlands", "Nederland",
        "The Netherlands", "Danemark", "Denmark", "Suède", "Sweden", "Norvège", "Norway", "Pologne", "Poland", "Polska", "Canada", "États-Unis",
        "USA", "United States", "Maroc", "Morocco", "Algérie", "Algeria", "Tunisie", "Tunisia", "Sénégal", "Monaco", "Andorre", "Roumanie", "Grèce",
    )
)  # fmt: skip


@dataclass(frozen=True)
class TownLine:
    """A parsed town line."""

    line: str  # as written on an envelope
    street: str = ""  # the street before it on the same line
    is_foreign: bool = False
    is_plausible: bool = True  # its department exists


def parse_town_line(text: str, own_departments: frozenset[str]) -> TownLine | None:
    """Parse the line with postcode and town. Gives: None for any other line."""
    line = text[:_LONGEST_LINE].strip(" ,;.")
    match = _FRENCH_TOWN.match(line)
    if match:
        code = match["code"].replace(" ", "")
        town = f"{code} {match['town'].strip(' ,;.')}{' CEDEX' + match['cedex'].upper().partition('CEDEX')[2] if match['cedex'] else ''}"
        return TownLine(town, street=match["street"].strip(" ,;–-"), is_plausible=_exists(code, own_departments))
    if any(pattern.match(line) for pattern in _FOREIGN_TOWN):
        return TownLine(line, is_foreign=True)
    return None


def is_country(text: str) -> bool:
    return fold(text[:_LONGEST_LINE]) in _COUNTRIES


def is_street(text: str) -> bool:
    """Whether the line is a street with or without a number, a PO box or a hamlet."""
    line = fold(text[:_LONGEST_LINE])
    return any(pattern.search(line) for pattern in (_STREET, _STREET_BEHIND, _BOX, _PLACE))


def is_complement(text: str) -> bool:
    return bool(_COMPLEMENT.match(fold(text[:_LONGEST_LINE])))


def is_name(text: str) -> bool:
    """Whether the line may be a person's name, with or without a title, or the name of an organisation."""
    plain = fold(text[:_LONGEST_LINE])
    if (
        not plain
        or any(c.isdigit() for c in text)
        or _NOT_A_NAME.match(plain)
        or text.rstrip().endswith((",", ":", ";", "?", "!"))
    ):
        return False
    words = [word for word in re.findall(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*", text) if len(word) > 1]
    if _BODY.match(plain):
        return 2 <= len(words) <= 9
    capitals = sum(word[0].isupper() for word in words)
    least = 1 if _HONORIFIC.match(plain) else 2
    return least <= capitals and len(words) <= 7 and capitals >= len(words) - 2 and not text.rstrip().endswith("…")


def _exists(code: str, own: frozenset[str]) -> bool:
    if code[:2] in own:  # the example town's department does not exist
        return True
    return code[:3] in _OVERSEAS if code.startswith(("97", "98")) else code[:2] in _DEPARTMENTS
