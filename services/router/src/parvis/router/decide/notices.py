"""A routed contact in, the notice that the town owes for it out. Pure; no I/O."""

from parvis.common.contact import ContactReceived
from parvis.common.directory import Directory, spoken_day, standard_variables
from parvis.common.reply import PersonalReply, ReplyRequested, reply_id
from parvis.common.routing import Routing


def registration(
    contact: ContactReceived, routing: Routing, directory: Directory, *, language: str | None
) -> ReplyRequested | None:
    """The registration notice (CRPA L112-11) of a contact that opened a conversation.

    Gives: none for a machine's message, and where there is nobody to write to.
    Retry: the same contact gives the same reply id.
    """
    if contact.machine or not (contact.personal.from_ or contact.personal.reply_channels):
        return None
    spoken = directory.town.speaks(language)
    variables = standard_variables(
        directory, department=routing.department, language=spoken, reference=routing.reference
    )
    received_on = spoken_day(contact.received_at, directory.town, spoken)
    point = contact.personal.from_
    return ReplyRequested(
        reply_id=reply_id("registration", contact.contact_id),
        conversation_id=routing.conversation_id,
        reference=routing.reference,
        kind="registration",
        department=routing.department,
        channel_of_contact=contact.channel,
        template="registration",
        language=spoken,
        legal=True,
        send_at=routing.decided_at,
        requested_at=routing.decided_at,
        requested_by="router",
        personal=PersonalReply(
            contact_points=(point,) if point else (),
            stated=contact.personal.reply_channels,
            variables={**variables, "received_on": received_on},
            in_reply_to=contact.thread.message_id,
        ),
    )
