"""Declares the interface of a drop box."""
