"""Claim checks in, what agents may look at out: files that the scanner has nothing against, scans and pictures drawn anew."""

from parvis.desk.read.originals import Infected, NotScanned, Originals
from parvis.desk.read.pictures import DOWNLOADED, SHOWN, Picture, Pictures

__all__ = ["DOWNLOADED", "SHOWN", "Infected", "NotScanned", "Originals", "Picture", "Pictures"]
