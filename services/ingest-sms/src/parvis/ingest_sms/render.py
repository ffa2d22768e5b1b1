"""What Twilio is to do now, as TwiML; and what HELP is answered. Pure; no I/O."""

from collections.abc import Mapping
from xml.sax.saxutils import escape

from parvis.common.contract.contact import TRIAGE, Language
from parvis.common.town.models import TownConfig

NOTHING = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'  # says: answer nothing now

# Letters that every telephone has (GSM-7): a message of one or two parts, and no surprise on the bill.
_HELP = {
    "fr": "{town}. Écrivez ici votre demande, une personne la lit. Téléphone : {phone} ({hours}). Pour ne plus recevoir de SMS : STOP.",
    "en": "{town}. Write your request here, a person reads it. Telephone: {phone} ({hours}). To get no more SMS: STOP.",
}


def help_texts(town_config: TownConfig) -> dict[str, str]:
    """What who asks for help is told, by language: whom they reach, when, and how to make us stop. The town's first is first."""
    town, triage = town_config.town, town_config.departments.get(TRIAGE)
    languages = [language for language in town.languages if language in _HELP] or ["fr"]
    return {
        language: _HELP[language]
        .format(
            town=town.name.get(language) or next(iter(town.name.values())),
            phone=town.phone,
            hours=(triage.opening_hours.get(language, "") if triage else "") or "-",
        )
        .replace(" (-)", "")
        for language in languages
    }


def answer_help(texts: Mapping[str, str], language: Language | None) -> bytes:
    """The answer in the language it was asked in; in the town's first where we do not speak that."""
    text = texts.get(language or "") or next(iter(texts.values()))
    return f'<?xml version="1.0" encoding="UTF-8"?><Response><Message>{escape(text)}</Message></Response>'.encode()
