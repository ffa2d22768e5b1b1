"""Looks up the recipients of replies that name none, in earlier replies of the same conversation."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.logs import logger
from parvis.notifier.decide.channel_choice import copy_recipient
from parvis.notifier.store.replies import earlier_replies

log = logger()


async def fill_in_recipients(connection: AsyncConnection, requested: Sequence[ReplyRequested]) -> list[ReplyRequested]:
    """Fill in the recipients of replies that only name a conversation in `addressed_as`: their service stores no addresses.

    Gives: the replies that have a recipient. A reply is left out if its conversation never had one, as with machines, forged
           senders and contacts without an address.
    """
    wanted = {reply.addressed_as for reply in requested if reply.addressed_as and _has_no_recipient(reply)}
    stored = await earlier_replies(connection, wanted)
    filled: list[ReplyRequested] = []
    for reply in requested:
        if not reply.addressed_as or not _has_no_recipient(reply):
            filled.append(reply)
            continue
        # The earlier reply may stand before it in the same batch.
        earlier = [
            r
            for r in filled
            if r.conversation_id == reply.addressed_as and not _has_no_recipient(r) and not r.to_other_person
        ]
        source = earlier[-1] if earlier else stored.get(reply.addressed_as)
        if source is None:
            log.info("reply.unaddressed", reply_id=reply.reply_id, conversation_id=reply.conversation_id)
        else:
            filled.append(copy_recipient(reply, source))
    return filled


def _has_no_recipient(reply: ReplyRequested) -> bool:
    return not reply.personal.contact_points and not reply.personal.stated
