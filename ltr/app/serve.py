"""The verb `app`: serve the page at an address of this machine."""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
from pathlib import Path

from ltr.app.allowed_paths import AllowedPaths
from ltr.errors import InputError
from ltr.process_state import set_up_gradio


def app(
    *,
    runs: str = "checkpoints",
    folders: list[str] | None = None,
    trust: list[str] | None = None,
    host: str = "127.0.0.1",
    port: int = 7860,
) -> None:
    """Serve a web page and print its address, until Ctrl+C.

    The page trains any recipe, classifies images with a trained network, tunes a classifier and compares results, and
    manages the runs. Unless you pass `--host`, only this machine can reach it.

    Args:
        runs: folder of the runs.
        folders: folders that the page may read, besides this one.
        trust: packages whose classes the config of a run may name, besides `ltr`.
        host: address to listen on; 0.0.0.0 for every network.
        port: port to listen on; 0 for any free one.

    Raises:
        InputError: if the extra is not installed, or the address is in use.
    """
    here = Path.cwd()
    paths = AllowedPaths(Path(runs), (here, here / "data", *map(Path, folders or ())), tuple(trust or ()))
    paths.own.mkdir(parents=True, exist_ok=True)
    listener = listen(host, port)
    set_up_gradio(paths.own / "uploads")
    try:
        import gradio  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise InputError('the page needs Gradio: pip install -e ".[app]".') from error
    from ltr.app.page import application

    address, port = listener.getsockname()[:2]
    served = application(paths, bracketed(address), port, local=loopback(address))
    if note := open_to_others(address, port):
        print(f"ltr: note: {note}", file=sys.stderr)
    shown = bracketed(host if loopback(address) else address)
    print(f"http://{shown}:{port} (Ctrl+C closes the page; trainings continue)", flush=True)
    # A browser keeps its connections open, so the shutdown does not wait for them.
    server = uvicorn.Server(uvicorn.Config(served, log_level="critical", timeout_graceful_shutdown=1))
    threading.Thread(target=preload, daemon=True).start()
    server.run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        InputError: if the address is in use, or does not belong to this machine.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        address = f"{bracketed(host)}:{port}"
        raise InputError(f"the page cannot listen on {address} ({error}): choose another `--port`.") from error


def bracketed(host: str) -> str:
    """Return an address as it stands in a URL: one of IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def loopback(host: str) -> bool:
    """Tell whether an address can be reached from this machine only."""
    return ipaddress.ip_address(host).is_loopback


def open_to_others(host: str, port: int) -> str:
    """Return a warning if other machines can reach the page, else nothing."""
    if loopback(host):
        return ""
    return (
        f"the page listens on {host}, without a password: anyone who can reach port {port} of this machine can start "
        "trainings and read the runs."
    )


def preload() -> None:
    """Import torch and what needs it, so that the first request does not wait for it."""
    import ltr.app.comparison
    import ltr.app.prediction  # noqa: F401
