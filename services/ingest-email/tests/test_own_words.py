"""Tests that a citizen's own words are not taken for a quote or a signature."""

import pytest

from parvis.ingest_email.parse.mail import parse_mail
from parvis.ingest_email.parse.quoting.split_reply import split_reply

OWN = "Une conduite fuit devant le numéro 4 et la cave se remplit."


@pytest.mark.parametrize(
    "lead",
    [
        "Le 3 mai 2026 à 10:15, votre service nous a écrit :",
        "Le 3 mai 2026 à 10:15, M. Exemple (exemple@citizens.example) vous a écrit :",
        "On 3 May 2026 at 10:15 your clerk, who wrote:",
        "On 3/05/2026 at 10:15 the tax clerk wrote:",
        "Date : 14 mai 2026\nDe : 14h à 18h\nMail : club@citizens.example\n",
        "Cordialement\n--",
    ],
)
def test_own_words_after_what_looks_like_a_mark_stay(lead: str) -> None:
    assert OWN in split_reply(f"Bonjour,\n{lead}\n{OWN}\n", is_reply=True).text


@pytest.mark.parametrize("mark", ["----- Message d'origine -----", "-----Original Message-----"])
def test_a_mark_without_the_head_of_a_mail_ends_nothing_but_a_reply(mark: str) -> None:
    assert OWN in split_reply(f"Le syndic répond :\n{mark}\nNon.\n\n{OWN}\n").text


@pytest.mark.parametrize("last", ["Envoyé par recommandé", "Sent via registered post", "Envoyé avec les photos hier"])
def test_a_last_line_of_the_citizens_is_no_signature(last: str) -> None:
    assert split_reply(f"{OWN}\n{last}").text.endswith(last)


@pytest.mark.parametrize("last", ["Envoyé de mon iPhone", "Sent from Outlook for Android", "Envoyé avec Proton Mail"])
def test_a_line_of_a_telephone_is_a_signature(last: str) -> None:
    assert split_reply(f"{OWN}\n{last}").signature == last


@pytest.mark.parametrize(
    "head",
    [
        "-------- Message d'origine --------De : Mairie <mairie@example-town.example> Date : 03/05/2026 10:15 (GMT+01:00)",
        "-----Message d'origine-----\nDe : Mairie <mairie@example-town.example>\nEnvoyé : lundi 4 mai 2026 10:15",
        "Message du 03/05/26 10:15\nDe : mairie@example-town.example\nA : camille@citizens.example",
        "Le 3 mai 2026 à 10:15, Mairie <mairie@example-town.example> a écrit :",
    ],
)
def test_the_head_of_a_mail_begins_a_quote(head: str) -> None:
    parts = split_reply(f"Merci.\n\n{head}\n\nNotre réponse.\n", is_reply=True)
    assert parts.text == "Merci."
    assert "Notre réponse." in parts.quoted


def test_a_french_answer_of_apple_mail_is_a_reply() -> None:
    content = "From: a@citizens.example\nSubject: =?utf-8?q?R=C3=A9p_=3A_Voirie?=\n\nOui.\n\nDe: Mairie <m@example-town.example>\nObjet: Voirie\nDate: 3 mai 2026 10:15\n\nNotre réponse."
    assert parse_mail(content.encode())[0].text == "Oui."
