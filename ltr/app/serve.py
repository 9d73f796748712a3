"""The verb: the page on an address of this machine."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from ltr.app.importing import swiftly
from ltr.app.place import Place
from ltr.app.staying import staying
from ltr.errors import InputError

LARGEST = "300mb"  # of an upload


def app(
    *, runs: str = "checkpoints", folders: list[str] | None = None, host: str = "127.0.0.1", port: int = 7860
) -> None:
    """Open a page in the browser, until it is interrupted.

    Train with any recipe, ask a trained network about images, tune a classifier and compare, look after the runs. It
    listens on this machine only, unless `--host` names another address.

    Args:
        runs: folder in which the runs are kept.
        folders: what else the page may read, besides this folder.
        host: address to listen on; 0.0.0.0 is every one.
        port: port to listen on; 0 takes a free one.

    Raises:
        InputError: where the extra is not installed, or the address is taken.
    """
    here = Path.cwd()
    place = Place(Path(runs), (here, here / "data", *map(Path, folders or ())))
    place.own.mkdir(parents=True, exist_ok=True)
    listener = listen(host, port)
    # Read when gradio is imported: uploads stay within the folders of the page, and nobody is told of its use.
    os.environ |= {"GRADIO_TEMP_DIR": str((place.own / "uploads").resolve()), "GRADIO_ANALYTICS_ENABLED": "False"}
    try:
        with swiftly():
            import gradio  # noqa: F401
            import uvicorn
    except ImportError as error:
        raise InputError('the page needs Gradio: pip install "ltr[app]".') from error
    address, port = listener.getsockname()[:2]
    served = application(place, address, port)
    if note := open_to_others(address, port):
        print(f"ltr: note: {note}", file=sys.stderr)
    print(
        f"http://{host if loopback(address) else address}:{port} (Ctrl+C ends the page, not the trainings)", flush=True
    )
    # A browser holds its connections open, so they are not waited for.
    server = uvicorn.Server(uvicorn.Config(served, log_level="critical", timeout_graceful_shutdown=1))
    with staying():
        threading.Thread(target=warm, daemon=True).start()
        server.run(sockets=[listener])


def application(place: Place, host: str, port: int) -> Any:
    """Return what answers requests: the page behind checks of who asks."""
    import gradio as gr
    from fastapi import FastAPI
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from ltr.app.origin import SameOrigin
    from ltr.app.page import STYLE, THEME, page
    from ltr.app.reports import reports

    served = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if loopback(host):  # else any name may lead here
        served.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", host])
    served.add_middleware(SameOrigin)
    served.get("/reports/{name:path}")(reports(place))
    blocks = page(place).queue(default_concurrency_limit=4)
    # Else Gradio copies any file of this machine that a request names: it looks where one lies only in pages that were
    # launched, and takes no mounted page for one.
    blocks.has_launched = blocks.is_running = True
    return gr.mount_gradio_app(
        served,
        blocks,
        path="/",
        server_name=host,
        server_port=port,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        show_error=False,
        max_file_size=LARGEST,
        allowed_paths=[str((place.own / "downloads").resolve())],
        theme=THEME,
        css_paths=STYLE,
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        InputError: where the address is taken, or not of this machine.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise InputError(f"the page cannot listen on {host}:{port} ({error}): choose another `--port`.") from error


def loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine only."""
    return ipaddress.ip_address(host).is_loopback


def open_to_others(host: str, port: int) -> str:
    """Say what it means that others reach the page; nothing where they do not."""
    if loopback(host):
        return ""
    return (
        f"the page listens on {host}, without a password: whoever reaches port {port} of this machine can start "
        "trainings and read the runs."
    )


def warm() -> None:
    """Import what the first question would wait for."""
    import ltr.cli.command
    import ltr.report  # noqa: F401
