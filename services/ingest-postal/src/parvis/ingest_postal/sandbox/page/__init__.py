"""Examines the picture of a page: blank pages, bar codes, orientation."""
