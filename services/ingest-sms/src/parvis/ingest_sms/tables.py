"""Twilio's and citizens' words as data: states, error codes and orders such as STOP, and what they mean to us.

Source: Twilio docs, "Messages resource: message status values" and "Message delivery: error codes".
"""

from typing import Literal

from parvis.common.contract.delivery import DeliveryState, FailureClass

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

Order = Literal["stop", "start", "help"]

# A message that is nothing but one of these is an order to us or to the provider, not a contact. By language, as people
# type them; accents, case and punctuation are forgiven. Twilio's own and the carriers' are under "".
# Sources: Twilio docs, "Advanced Opt-Out" and "Opt-out keywords" (Proxy); AF2M's charter for SMS in France (STOP, CONTACT).
# Left out on purpose: what may as well answer a question of ours, such as « oui », « annuler », „nein“, “no”.
KEYWORDS: dict[Order, dict[str, tuple[str, ...]]] = {
    "stop": {
        "": ("stop", "stopall", "stop all", "unsubscribe", "end", "quit", "revoke", "optout", "opt out", "cancel"),
        "en": ("remove me", "stop texting me", "stop messaging me", "no more messages", "no more texts"),
        "fr": (
            "arrêt", "arrett", "arrête", "arrêter", "arrêtez", "arrêtez tout", "stop tout", "stop pub", "désabonner",
            "désabonnement", "désinscrire", "désinscription", "désinscrivez moi", "désabonnez moi", "me désabonner",
            "me désinscrire", "ne plus recevoir", "plus de messages", "plus de sms",
        ),
        "es": ("alto", "parar", "pare", "baja", "darse de baja", "darme de baja", "detener", "cancelar suscripción"),
        "pt": ("parar", "pare", "sair", "cancelar inscrição", "cancelar subscrição"),
        "de": ("stopp", "halt", "ende", "abmelden", "abbestellen", "austragen"),
        "it": ("ferma", "fermare", "basta", "disiscrivi", "disiscrivimi", "annulla iscrizione"),
        "nl": ("stoppen", "afmelden", "uitschrijven"),
        "pl": ("zatrzymaj", "wypisz", "rezygnuję", "koniec"),
        "ro": ("opriți", "oprește", "dezabonare", "dezabonează"),
        "tr": ("dur", "durdur", "ret", "iptal", "abonelikten çık"),
        "ar": ("توقف", "قف", "أوقف", "إيقاف", "إلغاء الاشتراك", "الغاء الاشتراك"),
        "fa": ("توقف", "لغو اشتراک", "لغو"),
        "uk": ("стоп", "зупинити", "відписатися", "відписка"),
        "ru": ("стоп", "отписаться", "отписка", "прекратить"),
        "zh": ("停止", "退订", "退訂", "取消订阅", "取消訂閱"),
        "vi": ("dừng", "ngừng", "hủy đăng ký"),
    },
    "start": {
        "": ("start", "unstop", "yes"),
        "en": ("subscribe", "resume", "restart"),
        "fr": ("début", "débuter", "démarrer", "commencer", "reprendre", "reprise", "abonner", "me réabonner", "réactiver"),
        "es": ("iniciar", "comenzar", "empezar", "alta", "reanudar"),
        "pt": ("iniciar", "começar", "retomar"),
        "de": ("starten", "beginnen", "anmelden", "fortsetzen"),
        "it": ("inizia", "iniziare", "avvia", "riprendi"),
        "nl": ("starten", "beginnen", "aanmelden", "hervatten"),
        "pl": ("rozpocznij", "wznów"),
        "ro": ("începe", "pornește", "reia"),
        "tr": ("başla", "başlat", "devam"),
        "ar": ("ابدأ", "بدء", "استئناف", "اشتراك"),
        "fa": ("شروع", "ادامه"),
        "uk": ("старт", "почати", "відновити"),
        "ru": ("старт", "начать", "возобновить"),
        "zh": ("开始", "開始", "订阅", "訂閱"),
        "vi": ("bắt đầu", "tiếp tục"),
    },
    "help": {
        "": ("help", "info"),
        "en": ("infos", "information"),
        "fr": ("aide", "aidez moi", "infos", "contact"),
        "es": ("ayuda",),
        "pt": ("ajuda",),
        "de": ("hilfe",),
        "it": ("aiuto",),
        "nl": ("hulp",),
        "pl": ("pomoc",),
        "ro": ("ajutor",),
        "tr": ("yardım",),
        "ar": ("مساعدة", "المساعدة"),
        "fa": ("کمک", "راهنما"),
        "uk": ("допомога", "довідка"),
        "ru": ("помощь", "справка"),
        "zh": ("帮助", "幫助"),
        "vi": ("trợ giúp", "hỗ trợ"),
    },
}  # fmt: skip

# Twilio takes these two for orders; a citizen may mean them as an answer. They are both: obeyed, and read by people.
ALSO_ANSWERS = frozenset({"yes", "cancel"})

# Words that add nothing to STOP or START: « STOP merci », “please stop SMS”. Never to HELP, which may be a cry.
COURTESIES = frozenset(
    [
        "sms",
        "texto",
        "textos",
        "message",
        "messages",
        "msg",
        "merci",
        "svp",
        "stp",
        "s'il",
        "vous",
        "plaît",
        "te",
        "plaît",
        "please",
        "pls",
        "thanks",
        "thank",
        "you",
        "thx",
        "à",
        "au",
        "le",
        "la",
        "les",
        "bonjour",
        "hello",
        "por",
        "favor",
        "gracias",
        "mensajes",
        "obrigado",
        "mensagens",
        "bitte",
        "danke",
        "nachrichten",
        "prego",
        "grazie",
        "per",
        "favore",
        "messaggi",
        "alstublieft",
        "dank",
        "u",
        "berichten",
        "proszę",
        "dziękuję",
        "wiadomości",
        "mulțumesc",
        "mesaje",
        "lütfen",
        "teşekkürler",
        "mesaj",
        "شكرا",
        "من",
        "فضلك",
        "رسائل",
        "لطفا",
        "ممنون",
        "پیام",
        "будь",
        "ласка",
        "дякую",
        "пожалуйста",
        "спасибо",
        "сообщения",
        "повідомлення",
        "谢谢",
        "請",
        "请",
        "短信",
        "簡訊",
        "xin",
        "cảm",
        "ơn",
        "tin",
        "nhắn",
    ]
)

# What Twilio's Advanced Opt-Out says of a message that it has acted on.
OPT_OUT_TYPES: dict[str, Order] = {"STOP": "stop", "START": "start", "HELP": "help"}
