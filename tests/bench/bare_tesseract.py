"""Runs Tesseract with its defaults on each picture, for comparison, and prints one JSON line."""

import io
import json
import sys
import time
from pathlib import Path

import tesserocr
from PIL import Image


def main(tessdata: str, folder: str) -> None:
    with tesserocr.PyTessBaseAPI(path=f"{tessdata}/", lang="fra") as api:
        started_s, cpu_started_s, characters = time.monotonic(), time.process_time(), 0
        for scan in sorted(Path(folder).iterdir()):
            api.SetImage(Image.open(io.BytesIO(scan.read_bytes())).convert("L"))
            characters += len(api.GetUTF8Text())
        wall_s, cpu_s = time.monotonic() - started_s, time.process_time() - cpu_started_s
    print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s, "characters": characters}))


if __name__ == "__main__":
    main(*sys.argv[1:])
