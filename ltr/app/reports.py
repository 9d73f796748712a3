"""The report of a run, as a page of its own."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import HTMLResponse

from ltr.app.place import Place
from ltr.errors import InputError
from ltr.html.markup import sentence

# What a report is made of; a script in it, wherever it came from, does not run.
HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:"}


def reports(place: Place) -> Callable[[str], HTMLResponse]:
    """Return what answers a request for the report of a run."""

    def report(name: str) -> HTMLResponse:
        from ltr.app.drawing import drawing
        from ltr.report.report import write
        from ltr.run.folder import RunFolder

        try:
            run = RunFolder(place.run(name))
        except InputError as error:
            return HTMLResponse(sentence(str(error)), 404, HEADERS)
        with drawing():
            return HTMLResponse(write([run]), headers=HEADERS)

    return report
