"""Claim checks in, what agents may look at out: files that the scanner has nothing against, scans and pictures drawn anew."""
