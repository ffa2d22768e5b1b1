"""A form in over HTTP: looked at once more or submission; yes (303) once it is committed, and never before."""
