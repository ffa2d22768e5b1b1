"""Tests the reply channels that citizens ask for in their own words, and those they do not ask for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import ContactPoint
from parvis.common.text.reply_channels import find_stated_reply_channels

MAIL = ContactPoint(kind="email", value="camille@citizens.example")


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Répondez-moi par SMS au 06 39 98 00 12.", [("sms", "+33639980012")]),
        ("Merci de me répondre par SMS au 06.39.98.00.12", [("sms", "+33639980012")]),
        ("Vous pouvez me joindre par texto\nau +33 6 39 98 00 12", [("sms", "+33639980012")]),
        ("please answer by text message to +33 6 39 98 00 12, thank you", [("sms", "+33639980012")]),
        ("Please reply to me by SMS on 0639980012", [("sms", "+33639980012")]),
        ("Répondez-moi par mail à Camille.Exemple@citizens.example", [("email", "camille.exemple@citizens.example")]),
        ("Répondez-moi plutôt par courriel à l\u2019adresse a@b.example svp", [("email", "a@b.example")]),
        ("Répondez-moi par SMS\nau 06  39 98\n00 12", [("sms", "+33639980012")]),
        ("Rappelez-moi au 06 39 98 00 12", [("phone", "+33639980012")]),
        ("Text me on 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Envoyez-moi un SMS au 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Vous pouvez me rappeler au 06 39 98 00 12", [("phone", "+33639980012")]),
        ("N'hésitez pas à me répondre par SMS au 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Please do not hesitate to contact me by text message on 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Je ne suis pas chez moi, répondez-moi par SMS au 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Please text me back on 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Répondez moi par texto svp 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Je souhaiterais être rappelée au 06 39 98 00 12", [("phone", "+33639980012")]),
        ("Could you please ring me on 06 39 98 00 12?", [("phone", "+33639980012")]),
        ("Tenez-moi au courant par SMS au 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Let me know by text on 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Merci de répondre à cette adresse : a@b.example", [("email", "a@b.example")]),
        ("Pouvez-vous m'adresser votre réponse à a@b.example ?", [("email", "a@b.example")]),
        (
            "Répondez-moi par mail à a@b.example. Contactez-moi par SMS au 06 39 98 00 12. 3 rue des Lilas",
            [("email", "a@b.example"), ("sms", "+33639980012")],
        ),
    ],
)
def test_a_plain_request_is_understood(text: str, asked: list[tuple[str, str]]) -> None:
    assert [(stated.channel, stated.address) for stated in find_stated_reply_channels(text)] == asked


@pytest.mark.parametrize(
    "text",
    [
        "Ne me répondez pas par SMS au 06 39 98 00 12",
        "Merci de ne pas me répondre par SMS au 06 39 98 00 12",
        "Please do not reply by text message to 06 39 98 00 12",
        "Please don't answer by email to a@b.example",
        "Je ne souhaite pas que vous me contactiez, ni réponse par SMS",
        "Je ne reçois plus de réponse par courriel à a@b.example",
        "J'ai essayé d'appeler le 06 39 98 00 12 hier",
        "J'attends une réponse à ma demande envoyée par mail à a@b.example",
        "Mon numéro est le 06 39 98 00 12, j'ai reçu un SMS",
        "> Répondez-moi par SMS au 06 39 98 00 12",
        "Bonjour\nLe 3 mars 2026 à 10:00, Mairie a écrit :\nRépondez-moi par SMS au 06 39 98 00 12",
        "Répondez-moi par SMS",
        "Répondez-moi par SMS au 12",
        'Quelqu\'un envoie des mails avec "répondez-moi par SMS au 06 39 98 00 12" à ma place, attention.',
        "L'année dernière j'avais écrit : répondez-moi par SMS au 06 39 98 00 12. Ce numéro n'est plus le mien.",
        "Last year I had written: reply by text message to 06 39 98 00 12. It is not my number any more.",
        "Répondez-moi par mail à élise@citizens.example",
        "Ma mère souhaite être rappelée au 06 39 98 00 12",
        "Autrefois je demandais à être rappelé au 06 39 98 00 12",
        "Vous deviez m'envoyer la réponse à a@b.example, rien reçu",
        "Please stop sending the reply to a@b.example",
        "Merci de répondre à mon voisin à a@b.example",
        "",
    ],
)
def test_what_is_not_asked_is_not_assumed(text: str) -> None:
    assert find_stated_reply_channels(text) == ()


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Merci de m'envoyer un texto au 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Écrivez-moi à l'adresse a@b.example", [("email", "a@b.example")]),
        ("Ne me répondez pas par mail mais par SMS au 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Contactez-moi par SMS au +33 (0)6 39 98 00 12", [("sms", "+33639980012")]),
        ("Merci de ne plus me contacter par SMS au 06 39 98 00 12", []),
        ("Inutile de me répondre par SMS au 06 39 98 00 12", []),
        ("Ma voisine m'a demandé de lui répondre par SMS au 06 39 98 00 12", []),
        ("Mon fils veut une réponse par mail à fils@x.example", []),
        ("J'ai tenté de vous joindre par téléphone au 06 39 98 00 12", []),
        ("Ma fille vous a écrit : répondez par mail à fille@x.example.", []),
        ("Sur la porte, le gardien indique : rappelez-moi au 06 39 98 00 12", []),
        ("A note from my tenant: text me on 06 39 98 00 12", []),
        ("Je vous l'ai déjà écrit : répondez-moi par mail à a@b.example", [("email", "a@b.example")]),
        ("Lettre du 3 mars, demande : répondez-moi par mail à a@b.example", [("email", "a@b.example")]),
        ("Il a écrit « répondez-moi par SMS au 06 39 98 00 12 »", []),
        ("J'ai reçu ce message suspect : merci de me répondre par SMS au 06 39 98 00 12. Est-ce vous ?", []),
        ("Message reçu :\n| Répondez-moi par SMS au 06 39 98 00 12\nEst-ce vous ?", []),
        ("Le message frauduleux :\n\nRépondez-moi par SMS au 06 39 98 00 12", []),
        ("I received this: text me on 06 39 98 00 12", []),
        ("Je souhaite être recontactée par mail à a@b.example", [("email", "a@b.example")]),
        ("I would rather be contacted by email at a@b.example", [("email", "a@b.example")]),
        ("J'aimerais que vous me répondiez par SMS au 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Prière de me répondre à l'adresse suivante : a@b.example", [("email", "a@b.example")]),
        ("Écrivez-moi sur WhatsApp au 06 39 98 00 12", [("whatsapp", "+33639980012")]),
        ("Je ne souhaite pas être contactée par SMS au 06 39 98 00 12", []),
        ("Mon fils aimerait être contacté par SMS au 06 39 98 00 12", []),
        ("Il faudrait que vous la contactiez par SMS au 06 39 98 00 12", []),
        ("On ne peut pas me contacter à l'adresse a@b.example", []),
        ("Mon fils vous a écrit : je suis absent. Répondez-moi par SMS au 06 39 98 00 12", []),
        ("Ma voisine a écrit :\nJe pars demain.\nAlors : rappelez-moi au 06 39 98 00 12", []),
        ("My neighbour wrote: I am away. Text me on 06 39 98 00 12", []),
        ("Je vous transmets la demande de ma tante : bonjour. Répondez-moi par SMS au 06 39 98 00 12", []),
        ("De la part de M. Exemple : la haie dépasse. Rappelez-moi au 06 39 98 00 12", []),
        ("I pass on a request: hello. Text me on 06 39 98 00 12", []),
        ("Il a dit « rien ». J'ajoute : répondez-moi par SMS au 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Elle a écrit : « je pars ». Répondez-moi par SMS au 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Elle a écrit : je pars.\n\nRépondez-moi par SMS au 06 39 98 00 12", [("sms", "+33639980012")]),
        ("On m'a dit à 10:30 de venir. Répondez-moi par SMS au 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Répondez-moi par SMS au 06 39 98 00 1", []),
        ("Votre lettre est reçue. Répondez-moi par SMS au 06 39 98 00 12", [("sms", "+33639980012")]),
        ("Écrivez-moi à l'adresse mairie@town.example", []),
    ],
)
def test_only_what_writers_ask_for_themselves_is_a_wish(text: str, asked: list[tuple[str, str]]) -> None:
    stated = find_stated_reply_channels(text, own=("mairie@town.example",))
    assert [(to.channel, to.address) for to in stated] == asked


def test_the_way_one_wrote_needs_no_address() -> None:
    (asked,) = find_stated_reply_channels("Merci de me répondre par mail.", sender=MAIL)
    assert (asked.channel, asked.address) == ("email", "camille@citizens.example")


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    find_stated_reply_channels(text)
