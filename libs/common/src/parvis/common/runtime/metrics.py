"""Defines all metrics, each with its kind, meaning and unit. No label holds personal data."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

contacts_received = Counter("parvis_contacts_received", "contacts accepted by a door", ["channel"])
contacts_refused = Counter("parvis_contacts_refused", "contacts a door did not accept", ["channel", "why"])
http_refused = Counter("parvis_http_refused", "connections closed at a limit of the HTTP server", ["status", "why"])
contacts_routed = Counter("parvis_contacts_routed", "decisions stored by the router", ["department"])
records_sent = Counter("parvis_records_sent", "records acknowledged by Kafka", ["topic"])
records_unknown = Counter("parvis_records_unknown", "records whose acknowledgement did not come in time", ["topic"])
records_handled = Counter("parvis_records_handled", "records finished by a consumer", ["topic"])
dead_letters = Counter("parvis_dead_letters", "records nobody could handle", ["service"])
producers_replaced = Counter("parvis_producers_replaced", "producers thrown away after a fatal error", ["service"])
outbox_waiting = Gauge("parvis_outbox_waiting", "rows not yet acknowledged by Kafka", ["service"])
outbox_parked = Counter(
    "parvis_outbox_parked", "events that Kafka can never take, set aside in the outbox", ["service"]
)
consumer_waiting = Gauge("parvis_consumer_waiting", "1 while the world is down and partitions are paused", ["service"])
accept_seconds = Histogram(
    "parvis_accept_seconds", "from first byte to a door's yes, in seconds", ["channel"], buckets=_SECONDS
)
deliveries = Counter("parvis_deliveries", "deliveries by the state they reached", ["channel", "state"])
loops_suspected = Counter(
    "parvis_loops_suspected", "automatic messages withheld: their address got as many as a day allows", ["channel"]
)
messages_over_budget = Counter(
    "parvis_messages_over_budget",
    "times that an automatic SMS or letter was not sent: a day's budget of its source or the town is used up, in segments, letters or money",
    ["channel", "budget"],
)
replies_sent_too_often = Gauge(
    "parvis_replies_sent_too_often",
    "replies of the last hour with more sends than one, the logged resends and the logged moves",
)
deliveries_unknown_old = Gauge(
    "parvis_deliveries_unknown_old", "deliveries whose fate nobody knows, for longer than they are given"
)
files_scanned = Counter("parvis_files_scanned", "files by the antivirus verdict", ["verdict"])
scans_waiting = Gauge("parvis_scans_waiting", "files in the scanner's folder that are not accepted yet")
scans_oldest_seconds = Gauge("parvis_scans_oldest_seconds", "how long the oldest of them has waited, in seconds")
contacts_waiting = Gauge(
    "parvis_contacts_waiting",
    "contacts that the router holds: for an answer, for their trouble to pass, behind such a one, for its topic",
    ["why"],
)
contacts_overdue_seconds = Gauge(
    "parvis_contacts_overdue_seconds", "how long the first of them is past its due time, in seconds"
)
rules_refused = Gauge("parvis_rules_refused", "1 while the rules file on disk is refused and the old rules decide")
guesses = Counter(
    "parvis_guesses", "texts that no rule decided, by the outcome of the classifier: sure, unsure or none", ["outcome"]
)
sms_spooled = Gauge("parvis_sms_spooled", "messages on the fallback's disk that are not in the town yet")
sms_spooled_oldest_seconds = Gauge(
    "parvis_sms_spooled_oldest_seconds", "how long the oldest of them has waited, in seconds"
)
sms_spool_quarantined = Counter(
    "parvis_sms_spool_quarantined", "spooled messages that are damaged: a person should look at the .refused file"
)
sms_callbacks_refused = Counter("parvis_sms_callbacks_refused", "status callbacks that were not accepted", ["why"])
sms_recovered = Counter("parvis_sms_recovered", "messages the webhook missed, found in the provider's list")
