"""Replies that name nobody in, the same with the addresses that their citizen was written to before out."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.logs import logger
from parvis.notifier.decide.channel_choice import addressed_like
from parvis.notifier.store.replies import earlier_replies

log = logger()


async def addressed(connection: AsyncConnection, asked: Sequence[ReplyRequested]) -> list[ReplyRequested]:
    """Every reply with somebody to go to. Who asks by `addressed_as` keeps no addresses: only the notifier has them.

    Gives: not those of a conversation in which nobody was written to: a machine's, a forged sender's, one without an address.
    """
    nameless = {reply.addressed_as for reply in asked if reply.addressed_as and _names_nobody(reply)}
    before = await earlier_replies(connection, nameless)
    known: list[ReplyRequested] = []
    for reply in asked:
        if not reply.addressed_as or not _names_nobody(reply):
            known.append(reply)
            continue
        # It may stand before it in the same batch.
        here = (one for one in reversed(known) if one.conversation_id == reply.addressed_as and not _names_nobody(one))
        like = next(here, before.get(reply.addressed_as))
        if like is None:
            log.info("reply.unaddressed", reply_id=reply.reply_id, conversation_id=reply.conversation_id)
        else:
            known.append(addressed_like(reply, like))
    return known


def _names_nobody(reply: ReplyRequested) -> bool:
    return not reply.personal.contact_points and not reply.personal.stated
