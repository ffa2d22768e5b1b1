"""Lists the phrases by which mail programs introduce quotes, forwarded mails and signatures. Data only."""

# The verb of `On <date>, <somebody> wrote:`; whole words, lower case.
WROTE = (
    "wrote", "writes", "sent", "a écrit", "schrieb", "geschrieben", "escribió", "escribio", "ha escrito", "ha scritto", "scrisse", "schreef",
    "geschreven", "napisał", "napisała", "napisana", "napisał(a)", "pisze", "skrev", "skreiv", "escreveu", "kirjoitti", "napsal", "napsala", "napsal(a)", "napísal",
    "napísala", "napísal(a)", "írta", "a scris", "написал", "написала", "написал(а)", "пишет", "писал", "писал(а)", "написав", "написала", "пише",
    "написа", "yazdı", "έγραψε", "đã viết", "كتب", "כתב", "כתבה", "va escriure", "napisao je", "napisala je", "je napisal", "je napisala",
    "parašė", "rakstīja", "kirjutas", "skrifaði",
)  # fmt: skip
# The same where words stand close together.
WROTE_UNSPACED = ("写道", "寫道", "写到", "的邮件", "のメッセージ", "は書きました", "のメール", "작성")

# The first word of such a line.
LEADS = (
    "on", "le", "am", "el", "il", "op", "w dniu", "dnia", "den", "på", "em", "em data de", "il giorno", "a", "dne", "dňa", "în data de", "pe", "в", "на",
    "vào", "在", "於", "em", "am/pm", "lør", "pe", "ke", "to", "ti", "ma", "la", "su", "στις", "în", "في", "el día", "date", "dana", "dne", "ons", "tors", "fre",
    "le lun.", "le mar.", "le mer.", "le jeu.", "le ven.", "le sam.", "le dim.", "sent from",
)  # fmt: skip

# What stands between dashes, or alone, above what is quoted.
ORIGINAL = (
    "original message", "original-nachricht", "originalnachricht", "ursprüngliche nachricht", "urspr. nachricht", "ursprüngliche e-mail", "ursprüngliche mail", "message d'origine",
    "message original", "message initial", "mail original", "message reçu", "courriel original", "courrier original", "message d’origine", "mensaje original", "messaggio originale", "mensagem original",
    "oorspronkelijk bericht", "origineel bericht", "oorspronkelijke bericht", "wiadomość oryginalna", "oryginalna wiadomość", "ursprungligt meddelande",
    "originalmeddelande", "opprinnelig melding", "oprindelig besked", "oprindelig meddelelse", "oprindelig mail", "original besked", "opprinnelig e-post", "alkuperäinen viesti",
    "původní zpráva", "původní e-mail", "pôvodná správa", "eredeti üzenet", "mesaj original", "mesajul original", "исходное сообщение",
    "оригинальное сообщение", "пересылаемое сообщение", "вихідне повідомлення", "orijinal mesaj", "özgün ileti", "αρχικό μήνυμα", "原始邮件", "原始郵件", "元のメッセージ", "원본 메시지",
    "thư gốc", "reply message", "antwort nachricht", "reply above this line", "original email", "missatge original", "izvorna poruka", "izvirno sporočilo",
    "please reply above this line", "in reply to", "previous message", "quoted message",
)  # fmt: skip
FORWARDED = (
    "forwarded message", "forwarded by", "begin forwarded message", "message transféré", "début du message transféré", "début du message réexpédié",
    "message réexpédié", "transféré par", "weitergeleitete nachricht", "anfang der weitergeleiteten nachricht", "anfang der weitergeleiteten e-mail",
    "mensaje reenviado", "inicio del mensaje reenviado", "messaggio inoltrato", "messaggio originale inoltrato", "inizio messaggio inoltrato",
    "inizio del messaggio inoltrato", "mensagem reencaminhada", "mensagem encaminhada", "início da mensagem encaminhada",
    "início da mensagem reencaminhada", "doorgestuurd bericht", "begin doorgestuurd bericht", "wiadomość przekazana dalej", "przekazana wiadomość",
    "początek przekazywanej wiadomości", "vidarebefordrat meddelande", "vidarebefordrat brev", "videresendt melding", "videresendt besked",
    "videresendt meddelelse", "start på videresendt besked", "edelleenlähetetty viesti", "välitetty viesti", "přeposlaná zpráva",
    "přeposlaný e-mail", "preposlaná správa", "továbbított üzenet", "mesaj redirecționat", "пересылаемое сообщение", "переадресованное сообщение",
    "пересланное сообщение", "переслане повідомлення", "iletilen mesaj", "yönlendirilmiş ileti", "προωθημένο μήνυμα", "转发的邮件", "轉寄的郵件", "転送メッセージ",
    "전달된 메일", "thư được chuyển tiếp", "missatge reenviat", "proslijeđena poruka", "posredovano sporočilo",
)  # fmt: skip

# The labels of a quoted head; lower case.
FROM = (
    "from", "de", "expéditeur", "von", "absender", "van", "afzender", "fra", "från", "da", "de la", "od", "nadawca", "lähettäjä", "от", "отправитель",
    "від", "feladó", "kimden", "gönderen", "από", "发件人", "寄件者", "寄件人", "差出人", "보낸 사람", "보낸사람", "từ", "remitente", "remetente", "mittente", "من", "מאת", "nuo", "no", "saatja",
)  # fmt: skip
SENT = (
    "sent", "date", "envoyé", "envoyé le", "envoyée", "date d'envoi", "gesendet", "datum", "gesendet am", "verzonden", "verstuurd", "verzonden op", "sendt",
    "dato", "skickat", "data", "wysłano", "wysłane", "enviado", "enviado el", "enviada", "enviada em", "enviado em", "enviado a las", "fecha", "inviato", "data invio", "lähetetty", "päiväys",
    "päivämäärä", "отправлено", "дата", "надіслано", "odesláno", "odoslané", "dátum", "küldve", "elküldve", "trimis", "tarih", "gönderildi", "gönderme tarihi",
    "ημερομηνία", "στάλθηκε", "发送时间", "发送日期", "日期", "寄件日期", "送信日時", "日付", "보낸 날짜", "보낸날짜", "날짜", "đã gửi", "ngày", "send", "received", "poslano", "saadetud",
)  # fmt: skip
TO = (
    "to", "à", "a", "pour", "destinataire", "an", "aan", "til", "till", "para", "per", "do", "vastaanottaja", "кому", "komu", "címzett", "kime", "alıcı", "προς", "către",
    "收件人", "收件者", "宛先", "받는 사람", "받는사람", "đến", "destinatario", "destinatário", "إلى", "אל", "prima", "za", "kam", "cc", "copie à", "copie", "kopie", "kopia", "kopi", "kopio", "копия", "抄送",
    "reply-to", "répondre à",
)  # fmt: skip
SUBJECT = (
    "subject", "objet", "sujet", "betreff", "onderwerp", "emne", "ämne", "temat", "asunto", "assunto", "oggetto", "aihe", "тема", "předmět", "predmet", "tárgy",
    "subiect", "konu", "θέμα", "主题", "主旨", "件名", "제목", "chủ đề", "tiêu đề", "assumpte", "naslov", "zadeva", "الموضوع", "נושא", "teema", "tema", "temats",
)  # fmt: skip

# How telephones and their programs sign; lower case, at the beginning of a line of its own.
MOBILE = (
    "sent from my", "sent from mail for", "sent from outlook", "sent from yahoo", "sent from samsung", "sent from typeapp", "sent from proton",
    "sent from", "sent via", "sent with", "sent using", "get outlook for", "envoyé de mon", "envoyé depuis", "envoyé à partir d", "envoyé à partir de", "envoyé avec", "envoyé par", "envoyé via",
    "envoyé d'un", "envoyé d’un", "obtenez outlook pour", "obtenir outlook pour", "télécharger outlook", "téléchargez outlook", "provenance : courrier pour",
    "von meinem", "gesendet von", "gesendet mit", "gesendet aus", "diese nachricht wurde von meinem", "outlook für ios", "outlook für android", "holen sie sich outlook",
    "enviado desde", "enviado do meu", "enviado de mi", "enviado via", "enviado a partir do", "enviado con", "enviado com", "enviado por", "obtener outlook para", "obter o outlook para",
    "inviato da", "inviato dal", "inviato con", "ottieni outlook per", "scarica outlook per",
    "verzonden vanaf", "verstuurd vanaf", "verzonden met", "verstuurd met", "verstuurd via", "download outlook voor", "outlook downloaden voor",
    "wysłane z", "wysłano z", "wysłane za pomocą", "wysłano za pomocą", "pobierz program outlook", "pobierz aplikację outlook",
    "skickat från", "skickat med", "hämta outlook för", "skaffa outlook för", "sendt fra", "sendt med", "hent outlook for", "få outlook for", "last ned outlook",
    "lähetetty", "hanki outlook", "odesláno z", "odesláno pomocí", "odoslané z", "az iphone-omról küldve", "trimis de pe", "trimis din",
    "отправлено с", "отправлено из", "надіслано з", "iphone'umdan gönderildi", "ipad'imden gönderildi", "στάλθηκε από",     "đã gửi từ", "được gửi từ", "enviat des de", "poslano s", "poslano z",
)  # fmt: skip
MOBILE_UNSPACED = ("发自我的", "從我的", "从我的", "iphoneから送信", "나의 iphone에서 보냄")

# What a plain part says that stands in for the page beside it; lower case.
SEE_HTML = (
    "html", "does not support", "doesn't support", "unable to view", "view this email", "view this message", "view it in your browser",
    "ne supporte pas", "ne prend pas en charge", "ne s'affiche pas", "afficher ce message", "version en ligne", "dans votre navigateur", "unterstützt kein", "im browser",
    "no admite", "non supporta", "visualizza", "ondersteunt geen",
)  # fmt: skip
