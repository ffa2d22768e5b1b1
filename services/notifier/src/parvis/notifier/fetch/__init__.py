"""Reads the attachments of replies, and scans them before they are sent."""
