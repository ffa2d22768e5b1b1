"""Receives forms over HTTP; a form is confirmed (303) only once it is committed."""
