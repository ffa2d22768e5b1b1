"""Lists the letters that landed in the print shop's tray, newest first."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response

from parvis.simulators.pages import render_page


@dataclass(frozen=True, slots=True)
class PrintedPdf:
    path: Path
    name: str
    size_bytes: int
    landed_at: datetime

    @property
    def url(self) -> str:
        return "/letters/" + quote(self.name)


def list_letters(folder: Path) -> list[PrintedPdf]:
    """List the letters, newest first; what is still being written has a name that begins with a dot or ends otherwise."""
    letters: list[PrintedPdf] = []
    for path in folder.rglob("*.pdf"):
        if path.name.startswith("."):
            continue
        try:
            status = path.stat()
        except FileNotFoundError:  # taken out of the tray meanwhile
            continue
        landed_at = datetime.fromtimestamp(status.st_mtime, UTC)
        letters.append(PrintedPdf(path, path.relative_to(folder).as_posix(), status.st_size, landed_at))
    return sorted(letters, key=lambda letter: (letter.landed_at, letter.name), reverse=True)


def letter_routes(folder: Path) -> APIRouter:
    """Give the routes of the tray. They are plain functions: they read the disk, so they run in threads."""
    router = APIRouter()

    @router.get("/letters", response_class=HTMLResponse)
    def shelf(request: Request) -> HTMLResponse:
        return render_page(request, "letters.html", {"letters": list_letters(folder)}, refresh=True)

    @router.get("/_sim/letters")
    def listing() -> JSONResponse:
        shown = [
            {"name": one.name, "size_bytes": one.size_bytes, "landed_at": one.landed_at.isoformat(), "url": one.url}
            for one in list_letters(folder)
        ]
        return JSONResponse({"letters": shown})

    @router.get("/letters/{name:path}")
    def letter(name: str) -> Response:
        # Looked up among what is there, never joined to a path: no way out of the folder.
        for one in list_letters(folder):
            if one.name == name:
                return FileResponse(one.path, media_type="application/pdf", headers={"Content-Disposition": "inline"})
        raise HTTPException(404, "no such letter")

    return router
