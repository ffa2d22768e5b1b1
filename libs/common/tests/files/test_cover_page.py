"""Tests that the page which programs put before a closed letter is told from what a person writes."""

import pytest

from parvis.common.files.placeholder_page_detection import is_placeholder_page


@pytest.mark.parametrize(
    "text",
    [
        "Fichier sécurisé\nCe fichier est chiffré. Une visionneuse agréée est nécessaire pour l'afficher.",
        "Protected message. To read it, download the viewer application from your administrator's page.",
        "Patience\nVeuillez patienter… Si le contenu du formulaire n'apparaît pas, votre lecteur PDF ne peut pas l’afficher.",
        "For the best experience, open this portfolio in a recent version of Adobe Acrobat.",
        "Ce document nécessite un plug-in pour être ouvert. Téléchargez le logiciel de l'éditeur.",
    ],
)
def test_what_a_program_says_of_a_closed_file_is_a_cover(text: str) -> None:
    assert is_placeholder_page(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Le document PDF que j'ai reçu est protégé, mon lecteur ne peut pas l'ouvrir.",
        "Bonjour, le fichier du site nécessite un logiciel pour être ouvert. Que faire ?",
        "My reader cannot open the encrypted file you sent.",
        "Le portail du parc est fermé, prière de l'ouvrir.",
        "Acte de naissance de Camille Exemple, document protégé",
        "Ce document est protégé : lecteur requis pour l'ouvrir. " + "La salle des fêtes est louée le samedi. " * 20,
    ],
)
def test_what_a_person_writes_is_none(text: str) -> None:
    assert not is_placeholder_page(text)
