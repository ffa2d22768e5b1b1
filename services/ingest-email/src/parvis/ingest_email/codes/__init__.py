"""Lists the charset names, headers, phrases and codes that other mail programs use."""
