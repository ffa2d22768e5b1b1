"""Tests that the index of decision records lists every record with its title, and nothing else."""

from tests.house.tree import ROOT

FOLDER = ROOT / "docs/decisions"


def test_the_index_lists_every_record_with_its_title():
    expected = [
        f"| {path.name[:4]} | [{path.read_text().splitlines()[0].partition('. ')[2]}]({path.name}) |"
        for path in sorted(FOLDER.glob("[0-9]*.md"))
    ]
    assert [line for line in (FOLDER / "README.md").read_text().splitlines() if line.startswith("| 0")] == expected
