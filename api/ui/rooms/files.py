"""Files of jobs, to be fetched."""

from __future__ import annotations

from flask import Response

from api.http.files import routes as files
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages

pages = Pages()


@pages.get("/ui/files/<id:file_id>")
def fetch_file(page: PageRequest, file_id: int) -> PageAnswer:
    """One file's content: it is saved, never shown as a page of ours."""
    answer = feed.ask(page, files.download_file, file_id=file_id)
    assert isinstance(answer, Response)  # noqa: S101 - the route sends bytes
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer.headers["Content-Disposition"] = f"attachment; {_name(answer)}"
    return answer


def _name(answer: Response) -> str:
    given = answer.headers.get("Content-Disposition", "").partition(";")[2].strip()
    return given or 'filename="file"'
