"""Renders TwiML: the empty answer, and the reply to HELP. Pure; no I/O."""

from collections.abc import Mapping
from xml.sax.saxutils import escape

from parvis.common.contract.contact import TRIAGE, Language
from parvis.common.town.models import TownConfig

EMPTY_RESPONSE = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'  # Twilio sends no reply

# GSM-7 characters only: the reply takes one or two segments on every telephone.
_HELP = {
    "fr": "{town}. Écrivez-nous votre demande par SMS, un agent vous répondra. Téléphone : {phone} ({hours}). Pour ne plus recevoir de SMS, envoyez STOP.",
    "en": "{town}. Text us your request and a member of staff will reply. Phone: {phone} ({hours}). To stop receiving texts, send STOP.",
}


def render_help_texts(town_config: TownConfig) -> dict[str, str]:
    """Render the HELP reply in each language: the town's name, phone and opening hours, and how to opt out. The first language comes first."""
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


def render_help_reply(texts: Mapping[str, str], language: Language | None) -> bytes:
    """Render the reply in the language of the keyword, or else in the town's first language."""
    text = texts.get(language or "") or next(iter(texts.values()))
    return f'<?xml version="1.0" encoding="UTF-8"?><Response><Message>{escape(text)}</Message></Response>'.encode()
