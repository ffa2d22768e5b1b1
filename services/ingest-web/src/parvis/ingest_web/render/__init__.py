"""Renders a form as canonical bytes, as a contact, as pages, as JSON Schema. Pure; no I/O."""
