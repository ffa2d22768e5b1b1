"""Maps magic telephone numbers to behaviours, and Twilio's error codes to its error bodies.

Source: Twilio docs, "API errors and warnings" (20003 … 21617) and "Message delivery: error codes" (30003 …).
"""

from dataclasses import dataclass
from typing import Literal

from parvis.simulators.twilio.messages import Status

BLOCK = "+336399899"  # +33 6 39 98 is reserved for fiction; the last hundred numbers are the magic ones


@dataclass(frozen=True, slots=True)
class ApiError:
    code: int
    status: int
    message: str

    def shown(self) -> dict[str, object]:
        more_info = f"https://www.twilio.com/docs/errors/{self.code}"
        return {"code": self.code, "message": self.message, "more_info": more_info, "status": self.status}


REFUSALS: dict[int, ApiError] = {
    refusal.code: refusal
    for refusal in (
        ApiError(20003, 401, "Authenticate"),
        ApiError(20404, 404, "The requested resource {value} was not found"),
        ApiError(20429, 429, "Too Many Requests"),
        ApiError(20500, 500, "An internal server error has occurred"),
        ApiError(21211, 400, "Invalid 'To' Phone Number: {value}"),
        ApiError(21212, 400, "Invalid From Number (caller ID): {value}"),
        ApiError(21602, 400, "Message body is required."),
        ApiError(21603, 400, "A 'From' phone number is required."),
        ApiError(21604, 400, "A 'To' phone number is required."),
        ApiError(21609, 400, "The StatusCallback URL {value} is not a valid URL."),
        ApiError(21610, 400, "Attempt to send to unsubscribed recipient"),
        ApiError(21617, 400, "The concatenated message body exceeds the 1600 character limit"),
    )
}


def api_error(code: int, value: str = "") -> ApiError:
    row = REFUSALS[code]
    return ApiError(row.code, row.status, row.message.format(value=value))


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What happens to a message from the town."""

    name: str
    number_ending: str
    french: str
    english: str
    refused_with: int | None = None
    is_stored: bool = True
    answer: Literal["created", "error", "never"] = "created"
    then: tuple[Status, ...] = ("sent", "delivered")
    error_code: int | None = None
    slow: bool = False


NEVER_ANNOUNCED = BLOCK + "40"  # messages from this number are in Twilio's list, but cause no webhook

DELIVERED = Behaviour("delivered", "", "accepté et remis", "accepted and delivered")

MAGIC: tuple[Behaviour, ...] = (
    Behaviour("too-many", "29", "refus 429, code 20429", "refused with 429, code 20429", refused_with=20429),
    Behaviour("invalid", "11", "refus 400, code 21211", "refused with 400, code 21211", refused_with=21211),
    Behaviour("opted-out", "10", "refus 400, code 21610", "refused with 400, code 21610", refused_with=21610),
    Behaviour("error", "50", "erreur 500, rien n’est envoyé", "error 500, nothing is sent", refused_with=20500),
    Behaviour("error-after", "51", "erreur 500, mais envoyé", "error 500, yet it is sent", answer="error"),
    Behaviour("hang", "60", "aucune réponse, mais envoyé", "no answer, yet it is sent", answer="never"),
    Behaviour("hang-lost", "61", "aucune réponse, rien n’est envoyé", "no answer, nothing is sent", is_stored=False, answer="never"),
    Behaviour(
        "unreachable", "03", "accepté, non remis (30003)", "accepted, undelivered (30003)",
        then=("sent", "undelivered"), error_code=30003,
    ),
    Behaviour(
        "unknown-handset", "05", "accepté, non remis (30005)", "accepted, undelivered (30005)",
        then=("sent", "undelivered"), error_code=30005,
    ),
    Behaviour("failed", "08", "accepté, échec (30008)", "accepted, failed (30008)", then=("failed",), error_code=30008),
    Behaviour("slow", "70", "accepté, remis lentement", "accepted, delivered slowly", slow=True),
    Behaviour("no-receipt", "80", "accepté, envoyé, jamais de reçu", "accepted, sent, never a receipt", then=("sent",)),
)  # fmt: skip

BEHAVIOURS: dict[str, Behaviour] = {behaviour.name: behaviour for behaviour in (DELIVERED, *MAGIC)}
_BY_NUMBER = {BLOCK + behaviour.number_ending: behaviour for behaviour in MAGIC}


def behaviour_of(recipient: str) -> Behaviour:
    """Give the behaviour of a number, with or without `whatsapp:` in front."""
    return _BY_NUMBER.get(recipient.rpartition(":")[2], DELIVERED)
