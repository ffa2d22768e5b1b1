"""Hostile bytes in, answers out: jobs done in processes with limits, kept warm, watched, killed and replaced."""
