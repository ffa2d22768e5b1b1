"""Recognises files by their content, screens archives, scans for malware, and makes file names safe."""
