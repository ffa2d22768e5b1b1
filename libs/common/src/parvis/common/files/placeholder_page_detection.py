"""Recognises a page that only tells its reader to open the letter in another program. Pure; no I/O."""

import re

from parvis.common.text.folding import fold

_MOST_WORDS = 90  # programs' covers are a few sentences in one language or two
_FILE = re.compile(
    r"\b(?:documents?|fichiers?|pdf|files?|messages?|contenus?|contents?|formulaires?|forms?|portfolio|portefeuille)\b"
)
_CLOSED = re.compile(
    r"\b(?:proteg\w+|protected|chiffre\w*|encrypted|securise\w*|secured|restricted|rights|please wait|veuillez patienter|"
    r"requires?|necessit\w+|needs?|must|devez|upgrade|mettre a (?:jour|niveau)|telecharge\w+|download\w*|best experience|experience optimale)\b"
)
_PROGRAM = re.compile(
    r"\b(?:lecteurs?|readers?|viewers?|visionneuses?|acrobat|adobe|logiciels?|applications?|apps?|software|plug-?ins?)\b"
)
_OPEN = re.compile(r"\b(?:ouv(?:r|er)\w+|open\w*|affich\w+|view\w*|display\w*|visualis\w+|consult\w+|lire|read)\b")
# Programs do not say « je », and greet nobody.
_PERSON = re.compile(
    r"\b(?:je|j'\w+|moi|mon|ma|mes|me|m'\w+|nous|notre|nos|i|i'm|my|mine|we|our|us|bonjour|bonsoir|madame|monsieur|messieurs|"
    r"cordialement|salutations|merci|hello|dear|regards|sincerely|thanks)\b"
)


def is_placeholder_page(text: str) -> bool:
    """Whether the words of a whole file only say that it is closed, and which program opens it; never if a person speaks."""
    folded = fold(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    if not 0 < len(folded.split()) <= _MOST_WORDS or _PERSON.search(folded):
        return False
    return all(sign.search(folded) for sign in (_FILE, _CLOSED, _PROGRAM, _OPEN))
