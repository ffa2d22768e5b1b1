"""Matches contacts against the town's routing rules. Pure; the files are read in `fetch/rules_files.py`."""
