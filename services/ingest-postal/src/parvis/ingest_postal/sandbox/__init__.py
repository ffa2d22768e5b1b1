"""Reads and splits scans in isolated processes, where alone PDFium, Pillow and Tesseract open hostile bytes."""
