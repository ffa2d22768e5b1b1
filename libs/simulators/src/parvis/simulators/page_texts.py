"""Contains the texts of the simulators' pages in French and English."""

from typing import Literal

Language = Literal["fr", "en"]

TEXTS: dict[str, tuple[str, str]] = {
    "title": ("Le monde extérieur (simulé)", "The outside world (simulated)"),
    "phones": ("Téléphones", "Phones"),
    "mail": ("Courriels", "Mail"),
    "mail_and_letters": ("Courriels et lettres", "Mail and letters"),
    "earlier": ("Messages plus anciens, non affichés :", "Earlier messages, not shown:"),
    "letters": ("Lettres", "Letters"),
    "magic": ("Numéros magiques", "Magic numbers"),
    "magic_addresses": ("Adresses magiques", "Magic addresses"),
    "magic_note": (
        "Ce que la mairie envoie à ces numéros se passe mal, exprès. Tout autre numéro reçoit ses SMS.",
        "What the town hall sends to these numbers goes wrong, on purpose. Any other number gets its SMS.",
    ),
    "magic_addresses_note": (
        "Ce que la mairie écrit à ces adresses, quel que soit le domaine, se passe mal, exprès. Toute autre adresse reçoit son courriel.",
        "What the town hall writes to these addresses, at any domain, goes wrong, on purpose. Any other address gets its mail.",
    ),
    "letters_note": (
        "Les lettres que l’imprimeur aurait mises sous pli, la plus récente d’abord.",
        "The letters that the print shop would have put in envelopes, newest first.",
    ),
    "name": ("Nom", "Name"),
    "write_sms": ("Écrire un SMS", "Write an SMS"),
    "write_mail": ("Écrire un courriel", "Write a mail"),
    "simulated": (
        "Rien ne quitte cette machine : ni SMS, ni courriel, ni lettre.",
        "Nothing leaves this machine: no SMS, no mail, no letter.",
    ),
    "no_phones": ("Aucun SMS pour le moment.", "No SMS yet."),
    "no_mail": ("Aucun courriel pour le moment.", "No mail yet."),
    "no_letters": ("Aucune lettre pour le moment.", "No letter yet."),
    "from": ("De", "From"),
    "to": ("À", "To"),
    "subject": ("Objet", "Subject"),
    "date": ("Date", "Date"),
    "text": ("Texte", "Text"),
    "headers": ("En-têtes", "Headers"),
    "formatted": ("Mise en forme (HTML)", "Formatted (HTML)"),
    "attachments": ("Pièces jointes", "Attachments"),
    "download": ("Télécharger le message brut", "Download the raw message"),
    "your_number": ("Votre numéro", "Your number"),
    "your_address": ("Votre adresse", "Your address"),
    "town_number": ("Numéro de la mairie", "The town hall's number"),
    "town_address": ("Adresse de la mairie", "The town hall's address"),
    "message": ("Message", "Message"),
    "send": ("Envoyer", "Send"),
    "back": ("Retour", "Back"),
    "reply_as": ("Répondre depuis ce téléphone", "Reply from this phone"),
    "reply": ("Répondre à ce courriel", "Reply to this mail"),
    "all_mail": ("Tous les destinataires", "All recipients"),
    "sent_to_town": ("Envoyés à la mairie", "Sent to the town hall"),
    "no_subject": ("(sans objet)", "(no subject)"),
    "no_text": ("(pas de texte)", "(no text)"),
    "unreadable": ("Message illisible : voir le message brut.", "Unreadable: see the raw message."),
    "number": ("Numéro", "Number"),
    "address": ("Adresse", "Address"),
    "effect": ("Ce qui se passe", "What happens"),
    "size": ("Taille", "Size"),
    "file": ("Fichier", "File"),
    "pause": ("Suspendre l’actualisation", "Pause refreshing"),
    "resume": ("Reprendre l’actualisation", "Resume refreshing"),
    "media": ("pièce jointe", "attachment"),
    # states of a message, of a webhook and of a mail to the town
    "queued": ("en file", "queued"),
    "sent": ("envoyé", "sent"),
    "delivered": ("remis", "delivered"),
    "undelivered": ("non remis", "undelivered"),
    "failed": ("échec", "failed"),
    "received": ("reçu", "received"),
    "accepted": ("reçu par la mairie", "received by the town hall"),
    "fallback": ("reçu par l’adresse de secours", "received by the fallback"),
    "dropped": ("perdu : la mairie n’a pas répondu", "lost: the town hall did not answer"),
    "waiting": ("en attente d’un nouvel essai", "waiting for another try"),
    "refused": ("refusé", "refused"),
    "given-up": ("abandonné", "given up"),
}


def words(language: Language) -> dict[str, str]:
    """Give all texts in one language."""
    return {name: pair[0 if language == "fr" else 1] for name, pair in TEXTS.items()}
