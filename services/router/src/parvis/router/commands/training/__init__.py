"""Trains a classifier from labelled texts and measures it. Only commands import it, never the running service."""
