"""Declares what a drop box offers."""
