"""Renders pages of hostile scans and pictures in isolated processes."""
