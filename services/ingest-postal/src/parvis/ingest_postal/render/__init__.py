"""Sheets for the mail room out. Pure; no I/O."""

from parvis.ingest_postal.render.sheets import render_sheets

__all__ = ["render_sheets"]
