"""Reads the MIME structure of hostile mail: headers, parts, encodings, texts and files."""
