"""Maps magic local parts to what the relay does with a mail: refuse, bounce later, stay silent, answer as an absence."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MagicRecipient:
    names: tuple[str, ...]
    french: str
    english: str


MAGIC: tuple[MagicRecipient, ...] = (
    MagicRecipient(("inconnu", "bounce"), "refusé au RCPT : 550 5.1.1", "refused at RCPT: 550 5.1.1"),
    MagicRecipient(("occupe",), "refusé au RCPT : 451 4.3.2, toujours", "refused at RCPT: 451 4.3.2, always"),
    MagicRecipient(("plein",), "refusé au RCPT : 552 5.2.2, boîte pleine", "refused at RCPT: 552 5.2.2, mailbox full"),
    MagicRecipient(("rebond",), "accepté, puis avis d’échec (DSN 5.1.1)", "accepted, then a failure DSN (5.1.1)"),
    MagicRecipient(
        ("muet",),
        "gardé, mais pas de réponse après le point final, puis coupure",
        "kept, but no reply after the final dot, then cut off",
    ),
    MagicRecipient(("absent",), "accepté, puis réponse automatique d’absence", "accepted, then an out-of-office reply"),
)

REFUSALS: dict[str, str] = {
    "inconnu": "550 5.1.1 <{address}>: Recipient address rejected: User unknown",
    "bounce": "550 5.1.1 <{address}>: Recipient address rejected: User unknown",
    "occupe": "451 4.3.2 <{address}>: System busy, try again later",
    "plein": "552 5.2.2 <{address}>: Mailbox full",
}


def local_part(address: str) -> str:
    """Give the local part in lower case, without `+tag`."""
    return address.rpartition("@")[0].partition("+")[0].lower()


def refusal_of(address: str) -> str | None:
    """Give the SMTP reply that refuses this recipient; None if it is accepted."""
    row = REFUSALS.get(local_part(address))
    return None if row is None else row.format(address=address)


def is_silent(address: str) -> bool:
    return local_part(address) == "muet"


def bounces_later(address: str) -> bool:
    return local_part(address) == "rebond"


def is_away(address: str) -> bool:
    return local_part(address) == "absent"
