"""Lists the keywords by which citizens opt out of messages, opt in again and ask for help, by language."""

from typing import Literal

KeywordAction = Literal["stop", "start", "help"]

# A message that consists of one of these alone is an instruction and not a contact. By language, as people type them;
# accents, case and punctuation are ignored. The keywords of Twilio and of the carriers are under "".
# Sources: Twilio docs, "Advanced Opt-Out" and "Opt-out keywords" (Proxy); AF2M's charter for SMS in France (STOP, CONTACT).
# Left out on purpose: words that may also answer a question of ours, such as « oui », « annuler », „nein“, “no”.
KEYWORDS: dict[KeywordAction, dict[str, tuple[str, ...]]] = {
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

# Read unless the town chooses others: its own languages, and those of another script, whose words cannot be words of these.
# Short words of other languages are: « Dur » is Turkish for stop, and French for hard.
DEFAULT_LANGUAGES = ("fr", "en", "ar", "fa", "uk", "ru", "zh")

# Beginnings of the line that telephones add below a message.
DEVICE_LINES = (
    "envoye de", "envoye depuis", "envoye a partir", "sent from", "get outlook", "telecharger outlook", "enviado de",
    "enviado desde", "gesendet von", "von meinem", "inviato da", "verzonden vanaf", "wyslano z",
)  # fmt: skip

# Twilio treats these two as keywords; a citizen may mean them as an answer. They count as both: a preference and a contact.
ALSO_ANSWERS = frozenset({"yes", "cancel"})

# Words that add nothing to STOP or START: « STOP merci », “please stop SMS”. HELP must stand alone: with more words it may be a call for help.
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

# The form field OptOutType: the keyword that Twilio's Advanced Opt-Out has already handled.
OPT_OUT_TYPES: dict[str, KeywordAction] = {"STOP": "stop", "START": "start", "HELP": "help"}
