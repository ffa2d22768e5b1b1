"""Extracts the text and the annotations that a PDF holds."""
