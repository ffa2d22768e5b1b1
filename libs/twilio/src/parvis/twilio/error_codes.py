"""Maps Twilio's error codes to failure classes. Pure; no I/O.

Source: Twilio docs, "Error and warning dictionary" (https://www.twilio.com/docs/api/errors).
"""

from dataclasses import dataclass

from parvis.common.contract.delivery import FailureClass


@dataclass(frozen=True)
class ErrorCode:
    """The meaning of a Twilio error code.

    Shape: may_retry: Twilio has not accepted the message, so that it may be sent again.
    """

    failure_class: FailureClass
    meaning: str
    may_retry: bool = False


# The recipient's number is wrong, whoever sends: the notifier never writes to it again.
_WRONG_NUMBER: dict[int, ErrorCode] = {
    21211: ErrorCode("permanent", "invalid To number"),
    21614: ErrorCode("permanent", "not a mobile number"),
    21635: ErrorCode("permanent", "To number is a landline"),
    30005: ErrorCode("permanent", "unknown handset"),
    30006: ErrorCode("permanent", "landline or unreachable carrier"),
}

# The sender, the route or the handset failed; the number itself may be right.
_NOT_REACHED: dict[int, ErrorCode] = {
    21214: ErrorCode("unreachable", "To number cannot be reached"),
    21612: ErrorCode("unreachable", "To and From do not go together"),  # our routing: another sender may reach it
    30003: ErrorCode("unreachable", "handset switched off or out of coverage"),
    63003: ErrorCode("unreachable", "not on WhatsApp"),  # the same number may well take an SMS
    63024: ErrorCode("unreachable", "not a WhatsApp recipient"),
}

_REFUSED: dict[int, ErrorCode] = {
    21408: ErrorCode("refused", "no permission for the region"),
    30002: ErrorCode("refused", "account suspended"),
    30004: ErrorCode("refused", "blocked"),
    30007: ErrorCode("refused", "filtered by the carrier"),
    30010: ErrorCode("refused", "price over our limit"),
    30034: ErrorCode("refused", "sender not registered"),
    63016: ErrorCode("refused", "outside the 24-hour window without a template"),
}

_OPTED_OUT: dict[int, ErrorCode] = {
    21610: ErrorCode("opted-out", "unsubscribed recipient"),
    63032: ErrorCode("opted-out", "recipient limits marketing messages"),
}

_TEMPORARY: dict[int, ErrorCode] = {
    20003: ErrorCode("temporary", "authenticate", may_retry=True),  # the operator must correct the account or its token
    20429: ErrorCode("temporary", "too many requests", may_retry=True),
    30001: ErrorCode("temporary", "queue overflow"),
    30008: ErrorCode("temporary", "unknown error"),
    30017: ErrorCode("temporary", "carrier network congestion"),
    30022: ErrorCode("temporary", "rate of the sender exceeded", may_retry=True),
    30410: ErrorCode("temporary", "the carrier did not answer in time"),
    63018: ErrorCode("temporary", "rate limit of WhatsApp exceeded"),
}

ERROR_CODES: dict[int, ErrorCode] = {
    **_WRONG_NUMBER,
    **_NOT_REACHED,
    **_REFUSED,
    **_OPTED_OUT,
    **_TEMPORARY,
    21617: ErrorCode("too-long", "over 1600 characters"),
}


def find_error_code(code: str | int | None) -> ErrorCode | None:
    """Gives: None without a code, for a malformed code and for one that is not in the table."""
    text = str(code or "")
    return ERROR_CODES.get(int(text)) if text.isascii() and text.isdigit() and len(text) <= 6 else None


def failure_class_of(code: str | int | None) -> FailureClass:
    """Return the failure class of a message that Twilio accepted and did not deliver.

    Gives: `temporary` for an unknown code, so that a gap in the table never marks a number as wrong.
    """
    known = find_error_code(code)
    return known.failure_class if known else "temporary"
