"""Twilio's words as data: states and error codes of a message, and what they mean to us.

Source: Twilio docs, "Messages resource: message status values" and "Message delivery: error codes".
"""

from parvis.common.delivery import DeliveryState, FailureClass

# MessageStatus → what became of the reply. `sent` says that the carrier took it, not that anybody has it.
OUTCOMES: dict[str, DeliveryState] = {
    "accepted": "accepted",
    "scheduled": "accepted",
    "queued": "accepted",
    "sending": "accepted",
    "sent": "accepted",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    "failed": "failed",
    "canceled": "cancelled",
}

# ErrorCode → who can do something about it. A code that is not here is temporary: nobody loses an address by our ignorance.
FAILURES: dict[str, FailureClass] = {
    "21211": "permanent",  # invalid To number
    "21214": "permanent",  # To number cannot be reached
    "21408": "refused",  # region not enabled for the account
    "21610": "opted-out",  # the citizen sent STOP
    "21612": "permanent",  # no route from this sender to that number
    "21614": "permanent",  # not a mobile number
    "21617": "too-long",  # over 1600 characters
    "30001": "temporary",  # queue overflow
    "30002": "refused",  # account suspended
    "30003": "unreachable",  # handset off or out of coverage
    "30004": "refused",  # message blocked by carrier or citizen
    "30005": "permanent",  # unknown or inactive handset
    "30006": "permanent",  # landline or unreachable carrier
    "30007": "refused",  # filtered as spam
    "30008": "temporary",  # unknown error
    "30010": "refused",  # price over our limit
    "30017": "temporary",  # carrier network congestion
    "30022": "temporary",  # rate of the number exceeded
    "30034": "refused",  # unregistered number
    "30410": "temporary",  # carrier's time-out
    "63003": "permanent",  # WhatsApp: no such recipient
    "63016": "refused",  # WhatsApp: outside the 24-hour window without a template
    "63018": "temporary",  # WhatsApp: rate limit
    "63024": "permanent",  # WhatsApp: invalid recipient
    "63032": "opted-out",  # WhatsApp: the citizen limits marketing
}
FAILED = frozenset({"undelivered", "failed"})
