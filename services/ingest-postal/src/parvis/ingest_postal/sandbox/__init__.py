"""Reads and splits scans in isolated processes: the only place where libraries meet hostile bytes."""
