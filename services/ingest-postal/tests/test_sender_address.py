"""Facts about sender addresses in typical letter layouts, and their precision. Names and towns are fictional."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pypdfium2
import pytest
import typst

from parvis.common.contract.contact import ClaimCheck, make_contact_id
from parvis.common.testing import A_KEY
from parvis.ingest_postal.models.page import ScannedPage
from parvis.ingest_postal.models.scan import ScanReading
from parvis.ingest_postal.parse.letter_to_contact import SURE_OF_SENDER, LetterMetadata, build_contact
from parvis.ingest_postal.parse.own_addresses import OwnAddresses
from parvis.ingest_postal.sandbox.pdf.text_layer import extract_text_layer

AT = datetime(2026, 11, 9, 9, 30, tzinfo=UTC)
ID = make_contact_id("post", "mail-room", "0" * 64)
CLAIM = ClaimCheck(blob=f"{ID}/{'0' * 64}", sha256="0" * 64, size_bytes=9, media_type="application/pdf")
TOWN = OwnAddresses(
    key=A_KEY,
    names=frozenset({"mairie de val exemple", "val exemple town hall", "etat civil"}),
    streets=frozenset({"1 place du parvis"}),
    departments=frozenset({"00"}),
)
FACTS = LetterMetadata(ID, "mail-room", AT, AT, CLAIM, own_addresses=TOWN)

LAYOUT = """
#let blocks = json(bytes(sys.inputs.blocks))
#set document(date: none)
#set page(paper: "a4", margin: 0mm)
#set text(lang: "fr", size: 11pt, ligatures: false, hyphenate: false)
#set par(leading: 0.65em)
#for block in blocks {
  place(top + left, dx: block.at(0) * 1mm, dy: block.at(1) * 1mm,
    box(width: block.at(2) * 1mm, align(eval(block.at(3)), block.at(4).join(linebreak()))))
}
"""
Block = tuple[float, float, float, str, list[str]]


@dataclass(frozen=True)
class Sample:
    """A letter, and what must be found; `address` none where nobody may be written to."""

    what: str
    blocks: list[Block]
    address: str | None
    dated_on: date | None = None


CELESTE = ["Mme Céleste EXEMPLE", "12 rue de la Fontaine-aux-Lièvres", "00100 VAL-EXEMPLE"]
HECTOR = ["M. Hector MODÈLE", "3 bis, avenue du Général-Exemple", "33999 MODÈLE-SUR-EXEMPLE"]
TOWN_HALL = ["Mairie de Val-Exemple", "Service de l’état civil", "1 place du Parvis", "00100 VAL-EXEMPLE"]
BODY = ["Madame, Monsieur,", "", "Je vous prie de bien vouloir m’adresser une copie de mon acte de naissance.", "Je suis née le 14 août 1951 à Val-Exemple.", "", "Je vous prie d’agréer, Madame, Monsieur, mes salutations distinguées."]  # fmt: skip
ENGLISH_BODY = ["Dear Sir or Madam,", "", "Please send me a copy of my birth certificate.", "I was born on 14 August 1951.", "", "Yours faithfully,"]  # fmt: skip


def left(lines: list[str], top: float = 18) -> Block:
    return (22, top, 80, "left", lines)


def right(lines: list[str], top: float = 50) -> Block:
    return (115, top, 80, "left", lines)


def body(lines: list[str] = BODY, top: float = 110) -> Block:
    return (22, top, 165, "left", lines)


def day(text: str, top: float = 90) -> Block:
    return (22, top, 165, "right", [text])


def below(lines: list[str], top: float = 215) -> Block:
    return (22, top, 90, "left", lines)


def french(sender: list[str], when: str = "", **sure: Any) -> list[Block]:
    return [
        left(sender),
        right(sure.get("to", TOWN_HALL)),
        *([day(when)] if when else []),
        body(sure.get("body", BODY)),
    ]


def address(*lines: str) -> str:
    return "\n".join(lines)


ON = date(2026, 11, 3)
SAMPLES = [
    Sample("as in the book", french(CELESTE, "Val-Exemple, le 3 novembre 2026"), address(*CELESTE), ON),
    Sample("another town", french(HECTOR, "Modèle-sur-Exemple, le 03/11/2026"), address("M. Hector MODÈLE", "3 bis, avenue du Général-Exemple", "33999 MODÈLE-SUR-EXEMPLE"), ON),
    Sample("street and town on one line", french(["Hector Modèle", "5 impasse des Modèles, 33999 Modèle"], "Le 3.11.26"), address("Hector Modèle", "5 impasse des Modèles", "33999 Modèle"), ON),
    Sample("a box and CEDEX", french(["SARL Exemple et Fils", "Zone artisanale", "BP 112", "33999 MODÈLE CEDEX 9"], "2026-11-03"), address("SARL Exemple et Fils", "Zone artisanale", "BP 112", "33999 MODÈLE CEDEX 9"), ON),
    Sample("a hamlet", french(["Famille EXEMPLE Zoé", "Lieu-dit Les Modèles", "24999 SAINT-EXEMPLE"], "le mardi 3 novembre 2026"), address("Famille EXEMPLE Zoé", "Lieu-dit Les Modèles", "24999 SAINT-EXEMPLE"), ON),
    Sample("flat and stairs", french(["Mlle Zoé SPÉCIMEN", "Appt 12, escalier B", "Résidence du Théâtre", "8 boulevard de l’Exemple", "75099 PARIS"], "Paris, le 1er novembre 2026"), address("Mlle Zoé SPÉCIMEN", "Appt 12, escalier B", "Résidence du Théâtre", "8 boulevard de l’Exemple", "75099 PARIS"), date(2026, 11, 1)),
    Sample("telephone and mail between", french([CELESTE[0], CELESTE[1], "Tél. : 06 39 98 00 01", "celeste@citizen.example", CELESTE[2]], "03-11-2026"), address(*CELESTE), ON),
    Sample("telephone and mail below", french([*CELESTE, "Tél : 06 39 98 00 01", "Courriel : celeste@citizen.example"], "3 nov. 2026"), address(*CELESTE), ON),
    Sample("labelled on the line above", [left(["Expéditeur :", *CELESTE]), right(["Destinataire :", *TOWN_HALL]), body()], address(*CELESTE)),
    Sample("labelled on the same line", [left(["Expéditeur : Mme Céleste EXEMPLE", *CELESTE[1:]]), right(TOWN_HALL), body()], address(*CELESTE)),
    Sample("labelled, at the foot of the page", [right(TOWN_HALL), body(), below(["Expéditrice :", *CELESTE], 240)], address(*CELESTE)),
    Sample("two on one letter", french(["M. et Mme Hector et Zoé MODÈLE", "14 chemin des Exemples", "64999 EXEMPLE-LES-BAINS"], "Exemple-les-Bains le 3 novembre 2026"), address("M. et Mme Hector et Zoé MODÈLE", "14 chemin des Exemples", "64999 EXEMPLE-LES-BAINS"), ON),
    Sample("a doctor", french(["Dr Ada SPÉCIMEN", "Cabinet médical", "2 place de l’Exemple", "13999 MODÈLE"]), address("Dr Ada SPÉCIMEN", "Cabinet médical", "2 place de l’Exemple", "13999 MODÈLE")),
    Sample("an association's letterhead, centred", [(22, 14, 165, "center", ["Association des Amis de l’Exemple", "7 rue du Modèle", "00100 VAL-EXEMPLE"]), right(TOWN_HALL), day("Fait à Val-Exemple, le 3 novembre 2026"), body()], address("Association des Amis de l’Exemple", "7 rue du Modèle", "00100 VAL-EXEMPLE"), ON),
    Sample("after the signature", [right(TOWN_HALL), body(), below(["Céleste Exemple", *CELESTE[1:]])], address("Céleste Exemple", *CELESTE[1:])),
    Sample("an English letter", [(125, 15, 70, "left", ["Ms Ada Specimen", "12 Example Lane", "Sampleton", "AB1 2CD", "United Kingdom"]), left(["Val-Exemple town hall", "1 place du Parvis", "00100 VAL-EXEMPLE", "France"], 50), (125, 48, 70, "left", ["3 November 2026"]), body(ENGLISH_BODY)], address("Ms Ada Specimen", "12 Example Lane", "Sampleton", "AB1 2CD", "UNITED KINGDOM"), ON),
    Sample("an English letter the French way", [left(["Mr Adam Specimen", "4 Sample Road", "Exampleton EX4 4PL", "England"]), right(TOWN_HALL), day("November 3, 2026"), body(ENGLISH_BODY)], address("Mr Adam Specimen", "4 Sample Road", "Exampleton EX4 4PL", "ENGLAND"), ON),
    Sample("from Belgium", french(["Mme Zoé MODÈLE", "Rue de l’Exemple 12", "B-1999 MODÈLE", "Belgique"], "3/11/2026"), address("Mme Zoé MODÈLE", "Rue de l’Exemple 12", "B-1999 MODÈLE", "BELGIQUE"), ON),
    Sample("from Germany", french(["Herr Adam Muster", "Musterstraße 12", "99999 Musterstadt", "Allemagne"], "3. November 2026"), address("Herr Adam Muster", "Musterstraße 12", "99999 Musterstadt", "ALLEMAGNE"), ON),
    Sample("from Switzerland", french(["Mme Ada SPÉCIMEN", "Chemin du Modèle 3", "CH-1999 Exemple", "Suisse"]), address("Mme Ada SPÉCIMEN", "Chemin du Modèle 3", "CH-1999 Exemple", "SUISSE")),
    Sample("an overseas department", french(["M. Hector EXEMPLE", "22 rue du Modèle", "97499 EXEMPLE"]), address("M. Hector EXEMPLE", "22 rue du Modèle", "97499 EXEMPLE")),
    Sample("a box number for tenants", french(["Mme Zoé EXEMPLE", "Bât. C, porte 14", "CS 40112", "59999 MODÈLE CEDEX"]), address("Mme Zoé EXEMPLE", "Bât. C, porte 14", "CS 40112", "59999 MODÈLE CEDEX")),
    Sample("family number and files between", french([CELESTE[0], *CELESTE[1:], "N° allocataire : 1234567", "Dossier : 12/345"], "Val-Exemple, le 3 novembre 2026"), address(*CELESTE), ON),
    Sample("a mark of registered post above", [left(["LETTRE RECOMMANDÉE AVEC A.R."], 8), *french(CELESTE)], address(*CELESTE)),
    Sample("the postcode in two", french(["Mme Céleste EXEMPLE", "12 rue du Modèle", "64 999 EXEMPLE"]), address("Mme Céleste EXEMPLE", "12 rue du Modèle", "64999 EXEMPLE")),
    Sample("a syndic with two names", french(["Syndic de la copropriété Modèle", "Mme Ada SPÉCIMEN", "9 quai de l’Exemple", "69999 MODÈLE"]), address("Syndic de la copropriété Modèle", "Mme Ada SPÉCIMEN", "9 quai de l’Exemple", "69999 MODÈLE")),
    Sample("care of", french(["M. Hector MODÈLE", "chez Mme Céleste EXEMPLE", "12 rue de la Fontaine-aux-Lièvres", "00100 VAL-EXEMPLE"]), address("M. Hector MODÈLE", "chez Mme Céleste EXEMPLE", "12 rue de la Fontaine-aux-Lièvres", "00100 VAL-EXEMPLE")),
    # Whose address must not be used
    Sample("no address at all", [right(TOWN_HALL), body()], None),
    Sample("only the town's own, at the left", [left(TOWN_HALL), body()], None),
    Sample("only a name", [left(["Céleste Exemple"]), right(TOWN_HALL), body()], None),
    Sample("no street", french(["Mme Céleste EXEMPLE", "00100 VAL-EXEMPLE"]), None),
    Sample("no name", french(CELESTE[1:]), None),
    Sample("a letter to somebody else, enclosed", [left(["SA Modèle Énergie", "1 rue du Modèle", "75099 PARIS"]), right(CELESTE), body(["Madame,", "", "Veuillez trouver votre facture."])], None),
    Sample("somebody else's address in the text", [right(TOWN_HALL), body(["Madame, Monsieur,", "", "Ma mère a déménagé. Écrivez-lui :"]), (30, 140, 90, "left", ["Mme Zoé MODÈLE", "4 rue de l’Exemple", "33999 MODÈLE"]), body(["Je vous prie d’agréer mes salutations.", "", "Hector Modèle"], 180)], None),
    Sample("a copy to somebody", [right(TOWN_HALL), body(), below(["Copie à :", "M. Hector MODÈLE", "4 rue de l’Exemple", "33999 MODÈLE"])], None),
    Sample("the landlord's", [right(TOWN_HALL), body(), below(["Propriétaire :", "M. Hector MODÈLE", "4 rue de l’Exemple", "33999 MODÈLE"])], None),
    Sample("two senders apart", [left(CELESTE, 12), left(HECTOR, 45), right(TOWN_HALL, 70), body()], None),
    Sample("a department that is none", french(["Mme Céleste EXEMPLE", "12 rue du Modèle", "99100 EXEMPLE"]), None),
    Sample("abroad without a country", french(["Ms Ada Specimen", "12 Example Lane", "Sampleton AB1 2CD"]), None),
    Sample("addressee at the left, sender nowhere", [left(["À l’attention de Madame le Maire", "Hôtel de ville", "1 place du Parvis", "00100 VAL-EXEMPLE"]), body()], None),
    Sample("a date of birth alone", [left(CELESTE), right(TOWN_HALL), left(["Née le 3 novembre 2025"], 48), body()], address(*CELESTE), None),
    Sample("the date of another letter", [left(CELESTE), right(TOWN_HALL), left(["Objet : votre courrier du 2 novembre 2026"], 90), body()], address(*CELESTE), None),
    Sample("a date in the future", french(CELESTE, "Val-Exemple, le 3 novembre 2027"), address(*CELESTE), None),
    Sample("a date that is none", french(CELESTE, "le 31/11/2026"), address(*CELESTE), None),
]  # fmt: skip


def reading_of(blocks: list[Block]) -> ScanReading:
    pdf: Any = typst.compile(LAYOUT.encode(), format="pdf", sys_inputs={"blocks": json.dumps(blocks)})
    document: Any = pypdfium2.PdfDocument(pdf)
    lines = extract_text_layer(document[0]) or ()
    return ScanReading(pages=(ScannedPage(number=1, lines=lines, confidence=1.0, source="layer"),), page_count=1)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.what)
def test_the_sender_and_the_date_of_a_letter(sample: Sample):
    contact = build_contact(reading_of(sample.blocks), FACTS)

    sender = contact.personal.from_.value if contact.personal.from_ else None
    assert (sender, contact.dated_on) == (sample.address, sample.dated_on)


def test_an_address_that_is_used_is_the_senders():
    """Precision first: a letter that goes to the wrong door shows one citizen's business to another."""
    senders = [(build_contact(reading_of(sample.blocks), FACTS).personal.from_, sample.address) for sample in SAMPLES]
    used = [(point.value, wanted) for point, wanted in senders if point]
    precision = sum(value == wanted for value, wanted in used) / len(used)
    recall = sum(value == wanted for value, wanted in used) / sum(1 for _, wanted in senders if wanted)
    print(f"sender, {len(SAMPLES)} letters above {SURE_OF_SENDER}: precision {precision:.3f}, recall {recall:.3f}")  # noqa: T201 (the figures, with -s)

    assert precision >= 0.98
    assert recall >= 0.9
