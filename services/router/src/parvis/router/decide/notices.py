"""Builds the notices that the law owes the citizen: registration, receipt, transfer to another body. Pure; no I/O."""

from datetime import datetime, timedelta

from parvis.common.contract.contact import ContactReceived, ConversationId
from parvis.common.contract.find_addressee import own_contact_points
from parvis.common.contract.reply import ReplyKind, ReplyRequested, make_reply_id
from parvis.common.contract.routing.decisions import OTHER_PERSON, DueDates, Routing
from parvis.common.contract.routing.split_and_link import ConversationOpened
from parvis.common.contract.routing.transfer import ConversationArrived
from parvis.common.text.telephone import format_phone
from parvis.common.town.models import TownConfig, localized
from parvis.common.town.template_variables import format_day, standard_variables
from parvis.router.decide import msgspec_contract_types

# The receipt leaves a day before its deadline, so that a letter still reaches the printer in time.
_BEFORE_DEADLINE = timedelta(days=1)

_SILENCE = {
    "acceptance": {
        "fr": "Sans réponse le {day}, et si votre dossier est complet, votre demande est acceptée ; vous pouvez en demander une attestation.",
        "en": "Without an answer by {day}, and if your file is complete, your request is accepted; you may ask for a certificate of it.",
    },
    "rejection": {
        "fr": "Sans réponse le {day}, votre demande est refusée ; vous avez alors deux mois pour saisir le tribunal administratif.",
        "en": "Without an answer by {day}, your request is refused; you then have two months to go to the administrative court.",
    },
    "none": {"fr": "", "en": ""},
}


def registration_notice(
    contact: ContactReceived, routing: Routing, town_config: TownConfig, *, language: str | None
) -> ReplyRequested | None:
    """The registration notice (CRPA L112-11) of a contact that opened a conversation.

    Gives: None for an automatic message, for a forged sender, and without an address to write to.
    Retry: the same contact gives the same reply id.
    """
    if not _is_notifiable(contact):
        return None
    spoken = town_config.town.supported_language(language)
    variables = _variables(contact, routing, town_config, spoken)
    return _notice("registration", contact, routing, language=spoken, variables=variables, send_at=routing.decided_at)


def receipt_notice(
    contact: ContactReceived, routing: Routing, town_config: TownConfig, *, language: str | None
) -> ReplyRequested | None:
    """The receipt (CRPA R112-11-1), requested at once with `send_at` a day before it is due.

    Gives: None if the procedure is unknown or owes no receipt: the effect of silence would be unknown too.
    Retry: the same contact gives the same reply id.
    """
    procedure = town_config.procedure(routing.procedure)
    if not (procedure and routing.receipt_due_at and routing.answer_due_at and _is_notifiable(contact)):
        return None
    spoken = town_config.town.supported_language(language)
    variables = _variables(contact, routing, town_config, spoken) | {
        "procedure": localized(procedure.title, spoken),
        "answer_due_on": format_day(routing.answer_due_at, town_config.town, spoken),
        "silence_rule": _silence_rule(routing, town_config, spoken),
    }
    send_at = max(routing.decided_at, routing.receipt_due_at - _BEFORE_DEADLINE)
    return _notice("receipt", contact, routing, language=spoken, variables=variables, send_at=send_at)


def notice_of_move(
    event: ConversationArrived | ConversationOpened,
    department: str,
    town_config: TownConfig,
    *,
    cause: str,
    channel: str,
    addressed_as: ConversationId | None,
) -> ReplyRequested | None:
    """The notice that another public body is now competent (CRPA L114-2), with all the content of a receipt; within one body,
    the registration notice of a conversation that was split off: its citizen learns its reference.

    Needs: `addressed_as`, the conversation in which the citizen was written to before. The router stores no address; the notifier
           knows it, and never wrote to a machine or a forged sender.
    Gives: None if the conversation only came from another department of the same body.
    Retry: the same cause gives the same reply id.
    """
    is_same_body = event.competent_received_at is None
    if addressed_as is None or event.received_at is None or (is_same_body and isinstance(event, ConversationArrived)):
        return None
    town = town_config.town
    spoken, kind = town.supported_language(event.language), "registration" if is_same_body else "transfer"
    variables = standard_variables(town_config, department=department, language=spoken, reference=event.reference)
    variables |= {"received_on": format_day(event.received_at, town, spoken)}
    if event.competent_received_at is not None:
        variables |= {"moved_on": format_day(event.competent_received_at, town, spoken)}
        variables |= _variables_of_body(event, town_config, spoken)
    return msgspec_contract_types.ReplyRequested(
        reply_id=make_reply_id(kind, cause),
        conversation_id=event.conversation_id,
        reference=event.reference,
        kind=kind,
        department=department,
        channel_of_contact=channel,
        addressed_as=addressed_as,
        template=kind,
        language=spoken,
        legal=True,
        send_at=event.at,
        requested_at=event.at,
        requested_by="router",
        personal=msgspec_contract_types.ReplyPersonalData(variables=variables),
    )


def _variables_of_body(
    event: ConversationArrived | ConversationOpened, town_config: TownConfig, spoken: str
) -> dict[str, str]:
    town = town_config.town
    body = town_config.body(event.body) or town
    return {
        "body": localized(body.name, spoken),
        "body_phone": format_phone(body.phone),
        "body_address": ", ".join(body.address),
        "answer_due_on": format_day(event.answer_due_at, town, spoken) if event.answer_due_at else "",
        "silence_rule": _silence_rule(event, town_config, spoken),
    }


def _is_notifiable(contact: ContactReceived) -> bool:
    # If DMARC fails, the address is probably somebody else's, who must not get a notice.
    personal, is_forged = contact.personal, contact.sender.dmarc == "fail"
    return contact.machine is None and not is_forged and bool(personal.from_ or personal.reply_channels)


def _variables(contact: ContactReceived, routing: Routing, town_config: TownConfig, spoken: str) -> dict[str, str]:
    standard = standard_variables(
        town_config, department=routing.department, language=spoken, reference=routing.reference
    )
    return standard | {"received_on": format_day(contact.received_at, town_config.town, spoken)}


def _silence_rule(dates: DueDates, town_config: TownConfig, spoken: str) -> str:
    if dates.silence_at is None or dates.silence_means is None:
        return ""
    day = format_day(dates.silence_at, town_config.town, spoken)
    return localized(_SILENCE[dates.silence_means], spoken).replace("{day}", day)


def _notice(
    kind: ReplyKind,
    contact: ContactReceived,
    routing: Routing,
    *,
    language: str,
    variables: dict[str, str],
    send_at: datetime,
) -> ReplyRequested:
    return msgspec_contract_types.ReplyRequested(
        reply_id=make_reply_id(kind, contact.contact_id),
        conversation_id=routing.conversation_id,
        reference=routing.reference,
        kind=kind,
        department=routing.department,
        procedure=routing.procedure,
        channel_of_contact=contact.channel,
        template=kind,
        language=language,
        legal=True,
        send_at=send_at,
        requested_at=routing.decided_at,
        requested_by="router",
        to_other_person=OTHER_PERSON in routing.matched,
        sources=contact.sources,
        personal=msgspec_contract_types.ReplyPersonalData(
            contact_points=own_contact_points(contact),
            stated=contact.personal.reply_channels,
            variables=variables,
            in_reply_to=contact.thread.message_id,
        ),
    )
