"""Maps the wording and codes of bounce messages to causes and failure classes. Data only."""

import re

from parvis.common.contract.delivery import FailureClass

# `permanent` is said of the address alone: nobody is there, or nowhere. Whatever a sender, a content or a time could mend is not.
FAILURE_OF_CAUSE: dict[str, FailureClass] = {
    "full": "temporary",
    "too-large": "too-long",
    "disabled": "refused",
    "moved": "permanent",
    "not-ours": "refused",
    "nobody": "permanent",
    "at-recipient": "permanent",
    "unwanted": "refused",
    "nowhere": "permanent",
    "busy": "temporary",
    "unreachable": "unreachable",
}

# Fixed wordings and codes of large providers that mean one thing, whatever else stands there; lower case.
# Orange, Wanadoo (ofr) and La Poste (lpn) write their own number behind their own version, with one separator or another.
CERTAIN: tuple[tuple[str, str], ...] = (
    ("416", "nobody"),
    ("417", "full"),
    ("422", "full"),
    ("420", "disabled"),
    ("426", "disabled"),
    ("514", "too-large"),
)
CERTAIN_OF = re.compile(
    r"\b(?:ofr|lpn|ouk)(?:[\s_.:-]{0,2}\d{1,4})??[\s_.:-]{1,2}(\d{3})(?![\d.]|[\s_.:-]{1,2}\d{3}\b)"
)
CERTAIN_WORDS = ("delivery error: dd", "mailbox unavailable (")  # Yahoo; Outlook.com

# Words of a diagnosis, in lower case, white space single: the first row that has one of them counts.
CAUSES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("unreachable", ("host not found, try again", "temporary lookup failure", "temporarily unable to")),
    ("unwanted", ("my name was rejected",)),
    (
        "full",
        (
            "mailbox full", "mailbox is full", "mail box is full", "mailbox has exceeded", "mailbox exceeds", "mailbox too large",
            "over quota", "overquota", "quota exceeded", "exceeded quota", "exceeds quota", "quota limit", "quota full", "out of quota",
            "over the quota", "exceeded his/her quota", "exceeded the quota", "exceeded their", "exceed the quota", "over disk quota",
            "storage limit", "exceeded storage", "allocated storage", "account is full", "inbox is full", "user is over",
            "maildir over", "disk quota", "not enough storage space", "insufficient disk", "mailfolder is full", "mailbox size limit",
            "destinataire est pleine", "destinataire pleine", "boite pleine", "est saturée", "limite de stockage", "exceeded the local limit",
            "boîte pleine", "boîte de réception pleine", "boîte aux lettres pleine", "boîte aux lettres est pleine",
            "quota dépassé", "a dépassé son quota", "postfach ist voll", "postfach voll", "buzón lleno", "buzón de correo lleno",
            "casella piena", "casella di posta piena", "caixa de correio cheia", "caixa postal cheia", "почтовый ящик переполнен",
            "メールボックスがいっぱい", "mailbox vol",
        ),
    ),
    (
        "too-large",
        (
            "message too large", "message size exceeds", "message file too big", "message too big", "too large message",
            "size exceeds", "exceeds the maximum", "maximum message size", "message length exceeds", "message is too large",
            "message is too big", "larger than the maximum", "larger than the current", "exceeded the maximum message size",
            "fixed maximum message size", "message header size", "taille maximale",
        ),
    ),
    (
        "disabled",
        (
            "account is disabled", "account disabled", "account has been disabled", "account inactive", "account is inactive",
            "inactive account", "inactive user", "user is inactive", "account suspended", "user suspended", "account has been suspended",
            "mailbox currently suspended", "mailbox disabled", "mailbox is disabled", "mailbox is inactive", "mailbox is frozen",
            "account deactivated", "currently suspended", "temporarily locked", "account is locked", "is not active",
            "account is temporarily", "has been locked", "has been deactivated", "compte désactivé", "compte suspendu", "konto gesperrt",
            "cuenta inactiva", "email account that you tried to reach is disabled",
        ),
    ),
    (
        "moved",
        (
            "has moved to", "has been moved to", "moved to <", "address changed", "has been replaced by", "no longer at this address",
            "user has moved", "please try <", "user moved",
        ),
    ),
    (
        "not-ours",
        (
            "relaying denied", "relay denied", "relay access denied", "relay not permitted", "relaying not allowed", "unable to relay",
            "not permitted to relay", "no relaying", "relay prohibited", "relaying mail to", "not a gateway", "is currently not permitted to relay",
            "relaying refused", "relay operation rejected", "that domain isn't in my list of allowed rcpthosts",
            "dmarc", "spf fail", "sender policy framework", "dkim", "unauthenticated email",
            "authentication checks failed",
            "permission to post",
            "not allowed to post",
            "not a member of this", "not authenticated",
            "authentication required", "did not pass authentication", "spf check", "spf record", "openspf", "spf:", "spf validation",
        ),
    ),
    (
        "nobody",
        (
            "recipient name is not recognized", "is not recognized", "user unknown", "unknown user", "no such user", "user not exist", "may not exist", "no such mailbox", "no such recipient", "no such address", "no such account",
            "no such person", "no such local user", "mailbox unavailable", "mailbox not found", "mailbox does not exist",
            "mailbox doesn't exist", "mailbox unknown", "unknown mailbox", "unknown recipient", "recipient unknown", "unknown address",
            "address unknown", "unknown local part", "unknown local-part", "unknown account", "unknown or illegal user",
            "unknown or illegal alias", "user not found", "recipient not found", "recipnotfound", "user doesn't exist", "user does not exist",
            "account does not exist", "account that you tried to reach does not exist", "recipient does not exist",
            "address does not exist", "does not exist here", "doesn't exist here", "no mailbox here", "no mailbox by that name",
            "no account by that name", "not listed in", "not a valid mailbox", "not a valid user", "is not a valid recipient",
            "invalid mailbox", "invalid recipient", "invalid user", "invalid address", "invalid local", "recipient address rejected: undeliverable",
            "recipient address rejected: invalid", "recipient address rejected: access denied", "user is unknown", "addressee unknown",
            "addressee not found", "couldn't be found", "could not be found", "wasn't found at", "not our customer", "not our user",
            "not known at this site", "is not known", "is unknown", "doesn't have a yahoo", "doesn't have an account", "does not have an account",
            "this account does not exist", "this user doesn't have", "this address no longer accepts", "no longer valid", "no longer an employee",
            "no longer on server", "undeliverable address", "bad destination mailbox address", "bad address", "unrouteable user",
            "unrouteable mail address", "delivery to the following address failed: no such", "user missing", "user name lookup failed",
            "username not",
            "destin. sconosciuto", "recipient no longer", "failed to find mailbox", "unable to find recipient",
            "we have no record of", "no valid recipient", "non-existent user", "nonexistent user", "nonexistent account", "non existent",
            "no one by that name", "nobody here with that name", "address not present in directory", "not in my virtual", "badrecipient",
            "recipient cannot be found", "no existe", "no se encontró", "desconhecido",
            "inconnu à cette adresse", "utilisateur inconnu", "destinataire inconnu", "adresse inconnue", "adresse introuvable",
            "destinataire introuvable", "adresse n'existe pas", "n'existe pas", "compte inexistant", "boîte aux lettres inexistante",
            "empfänger unbekannt", "unbekannter empfänger", "unbekannter benutzer", "nicht gefunden", "existiert nicht",
            "usuario desconocido", "destinatario desconocido", "dirección desconocida", "utente sconosciuto", "indirizzo sconosciuto",
            "destinatario sconosciuto", "casella inesistente", "usuário desconhecido", "não existe", "onbekende gebruiker", "bestaat niet",
            "見つかりません", "пользователь не найден", "не существует", "nieznany użytkownik", "nie istnieje",
        ),
    ),
    (
        "unwanted",
        (
            "reverse dns", "ptr record", "no ptr", "rdns", "does not resolve", "reverse mapping", "reverse lookup", "not rfc compliant",
            "rfc 5322", "rfc5322", "rfc 2822", "bad reputation", "poor reputation", "reputation", "blacklist", "blocklist", "block list", "black list",
            "spamhaus", "spamcop", "listed in rbl", "listed by", "banned sending", "sender rejected", "sender denied",
            "sender address rejected", "sender verify failed", "access denied", "has been blocked", "is blocked", "blocked by",
            "blocked using", "blocked for", "spam", "junk mail", "unsolicited", "bulk mail", "virus", "malware", "worm", "policy reasons",
            "policy violation", "local policy", "rejected by policy", "content rejected", "content filter", "message rejected",
            "message content", "message refused", "mail refused", "connection refused by policy", "not accepted for policy",
            "delivery not authorized", "not allowed to send", "not authorized", "administrative prohibition", "transaction failed",
            "prohibited", "security reasons", "filtered", "refused by recipient", "refuses to accept", "rejected due to",
            "refusé par", "courrier indésirable", "abgelehnt", "rechazado", "rifiutato",
        ),
    ),
    (
        "nowhere",
        (
            "domain is not reachable", "host unknown", "unknown host", "host not found", "no such domain", "domain not found", "domain does not exist",
            "domain name not found", "unrouteable address", "unrouteable mail domain", "unroutable", "name or service not known",
            "no mail exchanger", "couldn't find a mail exchanger", "couldn't find any host", "could not find any mail exchanger",
            "cannot find mail exchanger", "recipient domain not found", "no mx", "nullmx", "null mx", "does not accept mail",
            "does not accept email", "domain must exist", "invalid domain", "illegal host", "unknown domain", "nxdomain", "no route found",
            "dns lookup failure: host", "the domain was not found", "bad destination host", "bad destination system", "domaine inconnu",
            "hôte inconnu", "domaine inexistant", "unbekannte domain", "host or domain name not found",
            "smtp protocol is not supported", "no a record",
        ),
    ),
    (
        "busy",
        (
            "too many connections", "too many concurrent", "rate limit", "too fast", "too many messages", "try again later", "temporarily deferred",
            "greylist", "gray listed", "grey listed", "system full", "mail system full", "insufficient system resources", "insufficient storage",
            "system error", "local configuration error", "mailer error", "service unavailable", "local error in processing", "i/o error",
            "too many hops", "mail loop", "loop detected", "hop count exceeded", "too many mail loops", "forwarding loop",
            "can't create output", "command died", "temporary failure", "temporarily unavailable",
        ),
    ),
    (
        "unreachable",
        (
            "timed out", "timeout", "connection refused", "no route to host", "network is unreachable", "unreachable", "network error",
            "connection lost", "lost connection", "connection reset", "connection was dropped", "conversation with", "not responding",
            "host is down", "name service error", "dns lookup failure", "host not reachable", "could not connect", "couldn't connect",
            "cannot connect", "can't connect", "unable to connect", "message expired", "has expired", "retry time not reached",
            "retry timeout exceeded", "have been failing for a long time", "too old", "has been in the queue too long",
            "been in the queue too long", "could not be delivered for", "delivery time expired", "delivery expired", "not been delivered",
            "delayed", "socket error", "délai dépassé", "délai expiré", "zeitüberschreitung",
        ),
    ),
    ("at-recipient", ("recipient address rejected", "recipient rejected", "address rejected")),
)  # fmt: skip

# Enhanced status (RFC 3463, RFC 7372, IANA's registry), longest prefix first → who can do something about it.
FAILURES: tuple[tuple[str, FailureClass], ...] = (
    ("5.1.7", "refused"),  # the sender's address
    ("5.1.8", "refused"),
    ("5.1.9", "refused"),
    ("5.1.10", "permanent"),  # null MX (RFC 7505)
    ("5.1.35", "refused"),  # Exchange Online: unknown, or unavailable
    ("5.1.0", "refused"),  # other address status: does not say whose
    ("5.1.", "permanent"),
    ("5.2.1", "refused"),  # disabled, or not accepting: may be again tomorrow
    ("5.2.2", "temporary"),  # mailbox full
    ("5.2.3", "too-long"),
    ("5.2.", "refused"),
    ("5.3.4", "too-long"),
    ("5.3.", "temporary"),
    ("5.4.0", "refused"),
    ("5.4.4", "permanent"),
    ("5.4.1", "unreachable"),
    ("5.4.", "unreachable"),
    ("5.5.", "refused"),
    ("5.6.", "refused"),
    ("5.7.", "refused"),
    ("5.", "refused"),
    ("4.4.", "unreachable"),
    ("4.", "temporary"),
)

# What the text says of itself, not of the address: with it, neither a status nor a word proves that nobody is there.
NO_PROOF = (
    "recipient preferences", "temporarily", "archived", "archivée", "archivee", "sleeping", "dormant", "en sommeil",
    "inactive", "disabled", "suspended", "désactivé", "suspendu", "deaktiviert", "gesperrt", "suspendida", "sospesa", "sospeso", "verify recipient",
    "recipient verif", "verification failed", "your domain", "your ip", "sender's", "sender domain", "sending domain", "reverse dns", "helo",
    "spamhaus", "spamcop", "blocklist", "block list", "blacklist", "black list", "blocked using", "reputation",
)  # fmt: skip

# Signs that a server refused the recipient, and that it refused the mail after it had taken the recipient.
AT_RECIPIENT = ("rcpt", "does not like recipient", "recipient address rejected", "recipient rejected")
AT_SENDER = (
    "after mail from",
    "in reply to mail from",
    "reply to the mail from",
    "after initial connection",
    "in reply to ehlo",
    "in reply to helo",
)
AT_CONTENT = (
    ">>> data",
    "smtp command data",
    "end of data",
    "final data",
    "after data",
    "sent the message",
    "data command",
)
