"""Reads remote files: the attachments of a reply, scanned before they leave."""
