"""The page as a web application: its tabs, the reports of the runs, and the checks of every request."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ltr.app.allowed_paths import AllowedPaths
from ltr.app.compare import compare
from ltr.app.infer import infer
from ltr.app.runs import runs
from ltr.app.train import train
from ltr.errors import InputError
from ltr.html import sentence

UPLOAD_LIMIT = "300mb"
STYLE = Path(__file__).with_name("page.css")
# System fonts: nothing is fetched from other servers.
THEME = gr.themes.Default(
    primary_hue="blue",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "Consolas", "monospace"],
).set(block_info_text_color="*neutral_600")
# For a report: no script in it may run, whatever wrote the files of the run.
REPORT_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:"}


def application(paths: AllowedPaths, host: str, port: int, *, local: bool) -> Any:
    """Return the ASGI application.

    Args:
        paths: what the page may read and write.
        host: address that it listens on, as it stands in a URL.
        port: likewise.
        local: whether only this machine can reach the address.
    """
    served = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if local:  # otherwise the page may have any host name
        served.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", host])
    served.add_middleware(SameOrigin)

    @served.get("/reports/{name:path}")
    def report_page(name: str) -> HTMLResponse:
        from ltr.app.figures import report

        try:
            return HTMLResponse(report(paths, name), headers=REPORT_HEADERS)
        except InputError as error:
            return HTMLResponse(sentence(str(error)), 404, REPORT_HEADERS)

    blocks = page(paths).queue(default_concurrency_limit=4)
    # Gradio checks the paths in a request only if the page was launched, and does not count a mounted page as one: it
    # would copy any file of this machine. `launch` is no way out: it requests its own address through the proxy of the
    # environment and refuses to start behind one. `test_gradio_does_not_mark_a_mounted_page_as_launched` tells when
    # this can go.
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
        max_file_size=UPLOAD_LIMIT,
        allowed_paths=[str(paths.downloads.resolve())],
        theme=THEME,
        css_paths=STYLE,
    )


def page(paths: AllowedPaths) -> gr.Blocks:
    """Return the page with its tabs."""
    blocks: gr.Blocks
    with gr.Blocks(title="ltr", analytics_enabled=False, delete_cache=(3600, 86400)) as blocks:
        gr.Markdown("# ltr: long-tailed image recognition")
        with gr.Tabs() as tabs:
            with gr.Tab("Train", id="train"):
                like = train(paths)
            with gr.Tab("Infer") as tab:
                infer(paths, tab)
            with gr.Tab("Compare") as tab:
                compare(paths, tab)
            with gr.Tab("Runs"):
                runs(paths, like, tabs)
    return blocks


class SameOrigin:
    """Middleware that refuses requests from pages of other origins.

    Args:
        app: answers all other requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        headers = Headers(scope=scope) if scope["type"] in ("http", "websocket") else Headers()
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            await PlainTextResponse("Requests from pages of another origin are refused.", 403)(scope, receive, send)
            return
        await self.app(scope, receive, send)
