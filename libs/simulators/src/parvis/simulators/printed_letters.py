"""Lists the letters in the print shop's folder, newest first."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response

from parvis.simulators.page_rendering import render_page


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
    """List the letters, newest first, without unfinished files (names with a leading dot or another extension)."""
    letters: list[PrintedPdf] = []
    for path in folder.rglob("*.pdf"):
        if path.name.startswith("."):
            continue
        try:
            status = path.stat()
        except FileNotFoundError:  # removed meanwhile
            continue
        landed_at = datetime.fromtimestamp(status.st_mtime, UTC)
        letters.append(PrintedPdf(path, path.relative_to(folder).as_posix(), status.st_size, landed_at))
    return sorted(letters, key=lambda letter: (letter.landed_at, letter.name), reverse=True)


def letter_routes(folder: Path) -> APIRouter:
    """Build the routes. They are not coroutines, because they read the disk: FastAPI runs them in threads."""
    router = APIRouter()

    @router.get("/letters", response_class=HTMLResponse)
    def shelf(request: Request) -> HTMLResponse:
        return render_page(request, "letters.html", {"letters": list_letters(folder)}, refresh=True)

    @router.get("/_sim/letters")
    def listing() -> JSONResponse:
        shown = [
            {
                "name": letter.name,
                "size_bytes": letter.size_bytes,
                "landed_at": letter.landed_at.isoformat(),
                "url": letter.url,
            }
            for letter in list_letters(folder)
        ]
        return JSONResponse({"letters": shown})

    @router.get("/letters/{name:path}")
    def letter(name: str) -> Response:
        # Looked up in the listing and not joined to a path, so that no name leads out of the folder.
        for candidate in list_letters(folder):
            if candidate.name == name:
                return FileResponse(
                    candidate.path, media_type="application/pdf", headers={"Content-Disposition": "inline"}
                )
        raise HTTPException(404, "no such letter")

    return router
