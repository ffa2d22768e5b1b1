"""Runs jobs on hostile bytes in worker processes with limits, which are kept warm, watched, killed and replaced."""
