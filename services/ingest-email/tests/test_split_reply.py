"""Tests how a reply is split into own text, quote and signature; in doubt it stays own text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.ingest_email.parse.quoting.split_reply import SIGNATURE_CHARACTERS, split_reply

OWN = "Merci beaucoup.\n\nCécile"

WROTE = """Le jeu. 5 déc. 2019 à 10:15, Jean Exemple <jean@citizens.example> a écrit :
Le jeudi 5 décembre 2019 à 10:15:32 UTC+1, Jean Exemple <jean@citizens.example> a écrit :
Le 05/12/2019 à 10:15, Jean Exemple a écrit :
On Thu, Dec 5, 2019 at 10:15 AM Jean Exemple <jean@citizens.example> wrote:
On 05/12/2019 10:15, Jean Exemple wrote:
Am 05.12.2019 um 10:15 schrieb Jean Exemple:
Am Do., 5. Dez. 2019 um 10:15 Uhr schrieb Jean Exemple <jean@citizens.example>:
El jue, 5 dic 2019 a las 10:15, Jean Exemple (<jean@citizens.example>) escribió:
Il giorno gio 5 dic 2019 alle ore 10:15 Jean Exemple <jean@citizens.example> ha scritto:
Op do 5 dec. 2019 om 10:15 schreef Jean Exemple <jean@citizens.example>:
Op 5 dec. 2019 om 10:15 heeft Jean Exemple <jean@citizens.example> het volgende geschreven:
W dniu 05.12.2019 o 10:15, Jean Exemple pisze:
Den tors 5 dec. 2019 kl 10:15 skrev Jean Exemple <jean@citizens.example>:
tor. 5. des. 2019 kl. 10:15 skrev Jean Exemple <jean@citizens.example>:
Em qui., 5 de dez. de 2019 às 10:15, Jean Exemple <jean@citizens.example> escreveu:
to 5. jouluk. 2019 klo 10.15 Jean Exemple (jean@citizens.example) kirjoitti:
5 декабря 2019 г., в 10:15, Jean Exemple <jean@citizens.example> написал(а):
05.12.2019, 10:15, "Jean Exemple" <jean@citizens.example>:
Dne 5.12.2019 v 10:15 Jean Exemple napsal(a):
Jean Exemple <jean@citizens.example> ezt írta (időpont: 2019. dec. 5., Cs, 10:15):
Pe 5 dec. 2019, la 10:15, Jean Exemple <jean@citizens.example> a scris:
Jean Exemple <jean@citizens.example>, 5 Ara 2019 Per, 10:15 tarihinde şunu yazdı:
在 2019/12/5 10:15, Jean Exemple 写道:
Jean Exemple <jean@citizens.example> 於 2019年12月5日 週四 上午10:15寫道：
2019/12/05 10:15、Jean Exemple <jean@citizens.example>のメール:
Vào Th 5, 5 thg 12, 2019 vào lúc 10:15 Jean Exemple <jean@citizens.example> đã viết:
-----Message d'origine-----
----- Mail original -----
-------- Mensaje original --------
---- Jean Exemple a écrit ----""".splitlines()

HEADS = """De : A <a@b.example>|Envoyé : jeudi 5 décembre 2019 10:15|À : Mairie|Objet : Test
De: A|Envoyé: jeudi 5 décembre 2019 10:15|À: Mairie|Objet: Test
*De :* A <a@b.example>|*Envoyé :* jeudi 5 décembre 2019 10:15|*À :* Mairie|*Objet :* Test
From: A <a@b.example>|Sent: Thursday, December 5, 2019 10:15 AM|To: Mairie|Subject: Test
Von: A <a@b.example>|Gesendet: Donnerstag, 5. Dezember 2019 10:15|An: B|Betreff: Test
De: A <a@b.example>|Enviado el: jueves, 5 de diciembre de 2019 10:15|Para: B|Asunto: Test
Da: A <a@b.example>|Inviato: giovedì 5 dicembre 2019 10:15|A: B|Oggetto: Test
Van: A <a@b.example>|Verzonden: donderdag 5 december 2019 10:15|Aan: B|Onderwerp: Test
Od: A <a@b.example>|Wysłano: czwartek, 5 grudnia 2019 10:15|Do: B|Temat: Test
Fra: A <a@b.example>|Sendt: torsdag 5. desember 2019 10:15|Til: B|Emne: Test
От: A <a@b.example>|Отправлено: 5 декабря 2019 г. 10:15|Кому: B|Тема: Test
________________________________|De : A <a@b.example>|Envoyé : jeudi 5 décembre 2019 10:15|À : Mairie|Objet : Test""".splitlines()

SIGNED = """Envoyé de mon iPhone|Envoyé depuis mon mobile Orange|Obtenez Outlook pour Android|Provenance : Courrier pour Windows 10
Sent from my Samsung Galaxy smartphone.|Get Outlook for iOS<https://mail.example/x>|Von meinem iPhone gesendet|Enviado desde mi iPhone
Inviato da iPhone|Verstuurd vanaf mijn iPhone|Wysłane z iPhone'a|Skickat från min iPhone|Sendt fra min iPhone|发自我的iPhone""".replace(
    "\n", "|"
).split("|")

PROSE = [
    "Le 12 mars 2024 à 10h30, votre agent m'a écrit :\nVous avez tort.\n\nJe conteste.",
    "Le 5/12/2019 j'ai envoyé ceci à mairie@example-town.example :\nune demande\nmerci de répondre",
    "Bonjour,\n\nDate : 12 mars\nObjet : fuite d'eau\nLieu : rue des Lilas\n\nJe signale une fuite.",
    "Bonjour,\n\nDe : 8 h\nÀ : 12 h\nDate : 12/03\nil y a du bruit.",
    "Bonjour,\nobjet : plainte\nDe : Camille Exemple\nÀ : Mairie\nbonjour",
    "Bonjour\n> un trou dans la rue\n> un lampadaire\nmerci",
    "Visitez-nous\n>>> >>>  http://www.citizens.example <<<\nmerci",
    "Envoyé de chez moi, où il fait froid, très froid.",
    "On the other hand, we should be careful.\nOn average, it works well.",
    "Points :\n----\n1. la rue\n\n----\nVoilà.",
    "Bonjour\n--\nAdresse : 12 rue des Lilas\n--\nMerci de venir.",
    "> Tout est cité\n> rien n'est à moi",
    "Envoyé de mon iPhone",
]  # fmt: skip


@pytest.mark.parametrize("head", WROTE)
@pytest.mark.parametrize("quoted", ["\n\n> Bonjour,\n> voici.\n", "\n\nBonjour, voici.\nÀ bientôt\n"])
def test_what_stands_below_who_wrote_it_is_quoted(head: str, quoted: str) -> None:
    for written in {head, head.replace(" <", "\n<", 1)}:
        said = split_reply(f"{OWN}\n\n{written}{quoted}", is_reply=True)
        assert said.text == OWN
        assert said.quoted == f"{written}{quoted}".strip()


@pytest.mark.parametrize("head", HEADS)
def test_what_stands_below_the_head_of_a_mail_is_quoted(head: str) -> None:
    lines = head.replace("|", "\n")
    said = split_reply(f"{OWN}\n\n{lines}\n\nBonjour, le texte.", is_reply=True)
    assert (said.text, said.quoted) == (OWN, f"{lines}\n\nBonjour, le texte.")


@pytest.mark.parametrize("line", SIGNED)
def test_telephones_sign_at_the_end(line: str) -> None:
    said = split_reply(f"{OWN}\n\n{line}\n")
    assert (said.text, said.signature) == (OWN, line)


@pytest.mark.parametrize("text", PROSE)
@pytest.mark.parametrize("is_reply", [False, True])
def test_in_doubt_all_of_it_is_the_citizens_own(text: str, *, is_reply: bool) -> None:
    assert split_reply(text, is_reply=is_reply).text == text


def test_a_number_above_the_line_that_says_who_wrote_is_not_part_of_it() -> None:
    said = split_reply(
        "Oui.\n05 36 49 00 12\nLe 02/11/2026 à 08:30, Mairie <mairie@example-town.example> a écrit :\n> Où ?"
    )
    assert said.text == "Oui.\n05 36 49 00 12"


def test_some_programs_mark_the_line_that_says_who_wrote_too() -> None:
    said = split_reply("Oui.\n\n> Le 2 nov. 2026 à 08:30, Mairie <mairie@example-town.example> a écrit :\n\n> Où ?\n")
    assert (said.text, said.quoted.splitlines()[-1]) == ("Oui.", "> Où ?")


def test_answers_between_quoted_lines_stay_and_people_see_what_was_answered() -> None:
    said = split_reply("Le 02/11/2026 à 08:30, Mairie a écrit :\n> Où ?\n\n12 rue des Lilas\n\n> Quand ?\n\nDimanche\n")
    assert said.text == "12 rue des Lilas\n\nDimanche"
    assert said.quoted.splitlines()[1:4] == ["> Où ?", "", "12 rue des Lilas"]


def test_an_answer_below_the_quote_stays() -> None:
    said = split_reply("On 04/19/2011 07:10 AM, Jean Exemple wrote:\n\n>\n> Test\nMa réponse")
    assert (said.text, said.quoted.splitlines()[-1]) == ("Ma réponse", "> Test")


def test_a_quoted_line_that_was_folded_is_still_quoted() -> None:
    long = "> " + "mot " * 20 + "et"
    said = split_reply(f"Oui\n\nOn 04/19/2011 07:10 AM, Jean Exemple wrote:\n{long}\nla suite\n> fin\n")
    assert said.text == "Oui"


def test_a_short_line_between_quoted_ones_is_an_answer() -> None:
    said = split_reply("On 04/19/2011 07:10 AM, Jean Exemple wrote:\n> Votre nom ?\nDupond\n> Votre rue ?\nLilas\n")
    assert said.text == "Dupond\nLilas"


def test_words_before_the_head_on_its_line_stay() -> None:
    said = split_reply("oui, merci --- On Wed, Apr 4, 2012 at 3:59 PM, me@citizens.example wrote:\n> Hi")
    assert said.text == "oui, merci"


def test_what_is_sent_on_stays_in_the_text_and_is_told_apart() -> None:
    text = "Pour vous.\n\n---------- Message transféré ---------\nDe : a@b.example\nDate : 5 déc. 2019\n\nFacture"
    assert split_reply(text).text == text
    assert split_reply(text).is_forward


def test_what_is_sent_on_without_such_a_line_stays_too() -> None:
    text = "Pour vous.\n\nDe : A <a@b.example>\nEnvoyé : jeudi 5 décembre 2019 10:15\nÀ : Camille\nObjet : Facture\n\n80 euros"
    said = split_reply(text, is_sent_on=True)
    assert (said.text, said.is_forward) == (text, True)


def test_a_form_that_a_program_sent_is_no_quote() -> None:
    text = "Nouveau message du site :\n\nDe : Camille <camille@citizens.example>\nDate : 12/03/2026 10:11\nObjet : fuite\n\nUne fuite."
    assert split_reply(text).text == text


def test_a_signature_is_what_follows_two_dashes() -> None:
    said = split_reply("Bonjour -- c'est moi.\n\n-- \nCamille\n05 36 49 00 12\n")
    assert (said.text, said.signature) == ("Bonjour -- c'est moi.", "-- \nCamille\n05 36 49 00 12")


def test_what_is_longer_than_a_signature_is_none() -> None:
    text = "Bonjour\n--\n" + "\n".join(f"point {n}" for n in range(20))
    assert split_reply(text).text == text


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    said = split_reply(text)
    assert len(said.signature) <= SIGNATURE_CHARACTERS


LINES = [
    *WROTE[:6],
    *HEADS[0].split("|"),
    "> cité",
    ">> encore",
    "",
    "à moi",
    "--",
    "Envoyé de mon iPhone",
    "_____",
    "-----Original Message-----",
]


@given(st.lists(st.sampled_from(LINES), max_size=25), st.booleans())
def test_no_line_is_lost(rows: list[str], is_reply: bool) -> None:
    said = split_reply("\n".join(rows), is_reply=is_reply)
    kept = f"{said.text}\n{said.quoted}\n{said.signature}".splitlines()
    assert all(row in kept for row in rows if row)
