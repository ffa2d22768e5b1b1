"""The claim checks of an answer's files in; the files that a mail carries out."""

from parvis.common.contract.errors import Rejected
from parvis.common.contract.reply import ReplyRequested
from parvis.common.storage.blobs import BlobStore
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.models.message import Enclosure


async def enclosed(blobs: BlobStore, reply: ReplyRequested, delivery: Delivery, *, most_bytes: int) -> list[Enclosure]:
    """The files that go with a mail; none on other channels, and none where they are too much for a mail: then it has a link.

    Raises: Rejected, for a file in which malware was found: a person looks; Unavailable, while the blobs are away.
    """
    if any(claim.scan == "infected" for claim in reply.attachments):
        raise Rejected("a file of this answer holds malware")
    # In base64 a mail is a third larger than its files; relays count what arrives.
    if delivery.channel != "email" or sum(claim.size_bytes for claim in reply.attachments) > most_bytes:
        return []
    names = (*reply.personal.file_names, *[""] * len(reply.attachments))
    return [
        Enclosure(name, claim.media_type, await blobs.get(claim))
        for name, claim in zip(names, reply.attachments, strict=False)
    ]
