"""Builds sample replies for previews and checks of templates. Pure; no I/O."""

from datetime import UTC, datetime

from parvis.common.contract.contact import ContactPoint, ConversationId
from parvis.common.contract.delivery import make_delivery_id
from parvis.common.contract.reply import ReplyKind, ReplyPersonalData, ReplyRequested, make_reply_id
from parvis.common.town.models import TownConfig, localized
from parvis.notifier.models.delivery import Delivery

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
_CONVERSATION = ConversationId("5f3f7a0e-5a0c-5c3e-9a53-2f0d9c1b7e11")
_REFERENCE = "P-7F3K-2Q9X-M4TC"
_ADDRESSES = {
    "sms": "+33639980001",
    "email": "celeste@citizens.example",
    "post": "Mme Céleste EXEMPLE\n12 rue de la Fontaine-aux-Lièvres\n99999 VILLE-EXEMPLE",
}
_KINDS: dict[str, ReplyKind] = {
    "registration": "registration",
    "receipt": "receipt",
    "question": "question",
    "transfer": "transfer",
}
_VALUES = {
    "fr": {
        "received_on": "2 mars 2026",
        "answer_due_on": "2 mai 2026",
        "moved_on": "4 mars 2026",
        "body": "Conseil départemental de l’Exemple",
        "body_phone": "05 36 49 02 00",
        "body_address": "4 place de la Fiction, 00000 Exemple",
        "silence_rule": (
            "Sans réponse le 2 mai 2026, votre demande est refusée ; vous avez alors deux mois pour saisir le tribunal administratif."
        ),
        "agent": "Camille Exemple, agente d’accueil",
        "text": "Votre dossier est complet.\n\nVous pouvez venir le chercher au guichet, ou nous demander de vous l’envoyer.",
    },
    "en": {
        "received_on": "2 March 2026",
        "answer_due_on": "2 May 2026",
        "moved_on": "4 March 2026",
        "body": "Exemple county council",
        "body_phone": "05 36 49 02 00",
        "body_address": "4 place de la Fiction, 00000 Exemple",
        "silence_rule": "Without an answer by 2 May 2026, your request is refused; you then have two months to go to the administrative court.",
        "agent": "Camille Exemple, receptionist",
        "text": "Your file is complete.\n\nYou may collect it at the counter, or ask us to send it to you.",
    },
}


def sample_reply(
    name: str, language: str, town_config: TownConfig, *, department: str | None = None, procedure: str | None = None
) -> ReplyRequested:
    """A sample reply in a language, of a department or a procedure; by default of the town's first procedure."""
    sample_procedure = town_config.procedure(procedure) or next(iter(town_config.procedures.values()), None)
    values = _VALUES.get(language) or _VALUES["en"]
    variables = values | {
        "procedure": localized(sample_procedure.title, language) if sample_procedure else name,
        "code": "123456",
        "minutes": "1440",
        "hours": "24",
        "link": "https://reponses.example-town.example/inbox/0123456789abcdef0123456789abcdef-1780000000.abcdefghijklmnop",
    }
    return ReplyRequested(
        reply_id=make_reply_id("sample", name, language, department or "", procedure or ""),
        conversation_id=_CONVERSATION,
        reference=_REFERENCE,
        kind=_KINDS.get(name, "answer"),
        department=department or (sample_procedure.department if sample_procedure else "triage"),
        procedure=procedure,
        channel_of_contact="email",
        template=name,
        language=language,
        legal=name in _KINDS and name != "question",
        send_at=AT,
        requested_at=AT,
        requested_by="preview",
        personal=ReplyPersonalData(
            contact_points=(ContactPoint(kind="email", value=_ADDRESSES["email"]),),
            variables={name: value for name, value in variables.items() if name != "text"},
            text=variables["text"],
        ),
    )


def sample_delivery(reply: ReplyRequested, channel: str, *, large_print: bool = False) -> Delivery:
    return Delivery(
        delivery_id=make_delivery_id(reply.reply_id, channel),
        reply_id=reply.reply_id,
        conversation_id=reply.conversation_id,
        reference=reply.reference,
        kind=reply.kind,
        channel=channel,
        address=_ADDRESSES[channel],
        address_hash="",
        state="reserved",
        attempt=1,
        send_at=AT,
        large_print=large_print,
    )
