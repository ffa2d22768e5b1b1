"""Lists the phrases that bounce messages for people are made of, in many languages. Data only."""

# Where a mail system says that the returned mail begins; lower case, at the beginning of a line after its dashes.
RETURNED = (
    "below this line is a copy of the message", "enclosed is a copy of the message", "this is a copy of the message", "this is a copy of your message",
    "this is a copy of the headers", "this is a copy of the special", "original message -", "original message headers", "message headers follow",
    "message header follows", "the header of the original message", "header of the original message", "unsent message follows",
    "unsent message below", "original mail info", "original message follows", "original message header", "below is a copy of the original",
    "bounced e-mail", "bounced email", "returned message follows", "returned mail follows", "your original message", "your message follows",
    "message text follows", "start of returned message", "returned message:", "original mail follows", "the text you sent follows",
    "included is a copy of the message", "a copy of the original message", "the first 50 lines of the original", "here is a copy of",
    "undelivered message follows", "returned content", "body of message generated response", "content of the original message",
    "message d'origine", "en-têtes du message d'origine", "en-têtes de message d'origine", "copie du message", "ci-dessous le message",
    "ursprüngliche nachricht", "mensaje original", "messaggio originale", "mensagem original", "оригинал письма",
)  # fmt: skip

# Words before an address on the same line that say it is the one which failed; lower case.
RECIPIENT_WORDS = (
    "rcpt to", "recipient", "could not be delivered to", "was not delivered to", "not delivered to", "delivering your mail to", "deliver message to",
    "deliver your message to", "delivery to", "undeliverable to", "failed recipient", "addressed to", "sent to", "message to", "mail to",
    "to the following", "mailbox", "target mail address", "intended for", "unknown user", "user unknown", "no such user", "address",
    "destinataire", "envoyé à", "remis à", "distribué à", "empfänger", "zugestellt", "destinatario", "destinatário", "宛先", "user",
)  # fmt: skip

# Words before an address that say it is another one: where it was expanded from, whom to ask.
OTHER_WORDS = (
    "expanded from", "original address", "generated from", "contact", "envelope-from", "mail from", "sent by", "postmaster", "write to", "forwarded from",
    "for assistance", "help", "from:", "from <", "reply-to", "return-path", "sender", "abuse@", "message-id", "originally sent by",
    "contacter", "expéditeur",
)  # fmt: skip

# Subjects and first words of mail systems that give up: each is fixed wording, never a citizen's.
GIVEN_UP = (
    "could not be delivered", "couldn't be delivered", "was not delivered", "wasn't delivered", "has not been delivered", "undeliverable",
    "undelivered", "delivery has failed", "delivery failed", "delivery failure", "unable to deliver", "wasn't able to deliver",
    "not able to deliver", "returned to sender", "permanent fatal errors", "transient non-fatal errors", "permanent error", "failure notice",
    "error delivering your mail", "returned mail", "non remis", "n'a pas pu être remis", "n'a pas pu être distribué", "n'a pas pu être délivré",
    "échec de la remise", "konnte nicht zugestellt werden", "unzustellbar", "no se pudo entregar", "no se ha podido entregar",
    "non è stato possibile consegnare", "não pôde ser entregue", "não foi possível entregar", "送信できません", "не может быть доставлено",
    "kon niet worden bezorgd", "nie mogła zostać dostarczona", "delivery incomplete", "address not found", "message blocked", "error message below", "not a member of this mailing list", "you are not allowed to post",
)  # fmt: skip

# Subjects of complaints that come without the structure of RFC 5965.
COMPLAINTS = (
    "complaint about message from",
    "abuse report",
    "spam report",
    "email feedback report",
    "signalement de spam",
)

# Words of a system that has not given up yet.
NOT_YET = (
    "delayed", "will be retried", "will retry", "keep trying", "still trying", "not yet been delivered", "warning message only", "temporary failure report",
    "could not send message for past", "message still undelivered", "do not need to resend", "en attente", "sera réessayé", "nouvelle tentative",
    "a été retardé", "verzögert", "retrasado", "ritardata",
)  # fmt: skip
