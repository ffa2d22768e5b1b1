"""Recognises the words on the picture of a page."""
