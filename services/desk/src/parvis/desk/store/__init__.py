"""Cases in and out of PostgreSQL."""
