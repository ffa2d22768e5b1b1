"""Declares the desk's SQL tables."""
