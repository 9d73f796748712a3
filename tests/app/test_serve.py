"""The page as strangers and other pages meet it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from browsing import served

from ltr.app.options import resolved
from ltr.app.serve import app, listen, loopback, open_to_others
from ltr.cli.call import call
from ltr.errors import InputError
from ltr.run import lookup

ENDPOINTS = [
    f"/{name}" for name in ("run_config", "run_report", "ask_to_delete_run", "delete_run", "stop_run", "resume_run")
]


def status(url: str, **headers: str) -> int:
    """Return the status of the answer to a request."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_it_answers(site: Any) -> None:
    assert status(site.url) == 200


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}])
def test_another_page_is_refused(site: Any, headers: dict[str, str]) -> None:
    assert status(site.url, **headers) in (400, 403)
    assert status(f"{site.url}/gradio_api/upload", **headers) in (400, 403)


@pytest.mark.parametrize("path", ["/etc/passwd", "checkpoints/x", "../x", "ltr/app/serve.py"])
def test_no_file_is_served(site: Any, path: str) -> None:
    (site.runs / "x").parent.mkdir(exist_ok=True)
    (site.runs / "x").write_text("secret")
    for way in (path, site.folder / path):
        assert status(f"{site.url}/gradio_api/file={way}") in (403, 404)


@pytest.mark.parametrize("name", ["..", "../..", "%2e%2e/%2e%2e/etc", "etc/passwd", "nothing", "%00"])
def test_a_report_is_one_of_a_run(site: Any, name: str) -> None:
    assert status(f"{site.url}/reports/{name}") == 404


def client(site: Any) -> Any:
    """Return a client that waits for a busy machine."""
    from gradio_client import Client

    return Client(site.url, verbose=False, analytics_enabled=False, httpx_kwargs={"timeout": 120})


def test_twenty_clients_are_answered(site: Any) -> None:
    def ask(_: int) -> int:
        return len(client(site).predict(api_name="/list_runs")["data"])

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(ask, range(20)))
    assert len(set(found)) == 1


def test_hostile_values_are_refused_and_it_stays_up(site: Any) -> None:
    from gradio_client.exceptions import AppError

    asking = client(site)
    for name in ("../..", "/etc", "a/../../b", "<img src=x onerror=alert(1)>", "x" * 10_000):
        for endpoint in ENDPOINTS:
            with pytest.raises(AppError) as caught:
                asking.predict(name, api_name=endpoint)
            assert "<img" not in str(caught.value)
    assert status(site.url) == 200


@pytest.mark.slow
def test_a_page_of_ipv6_answers(tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    try:
        listen("::1", 0).close()
    except InputError:
        pytest.skip("no IPv6 on this machine")
    process = served(tmp_path, "--host", "::1")
    assert process.stdout is not None
    try:
        with process.stdout:
            url = process.stdout.readline().split()[0]
        assert url.startswith("http://[::1]:")
        assert status(url) == 200
        assert status(url, Host="[::2]") == 400
    finally:
        process.terminate()
        process.wait()


def test_a_taken_port_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="choose another `--port`"):
        listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("192.168.1.2", False)]
)
def test_what_is_of_this_machine_only(host: str, own: bool) -> None:
    assert loopback(host) is own


@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("::", True), ("127.0.0.1", False), ("::1", False)])
def test_a_page_for_everybody_says_so(host: str, warned: bool) -> None:
    assert ("without a password" in open_to_others(host, 7860)) is warned


def test_no_config_that_is_read_moves_the_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio answers in threads: a run looked up, or started, while another answer reads a config was elsewhere."""
    went: list[Any] = []
    monkeypatch.setattr(os, "chdir", went.append)
    resolved(["--config", "gml.yaml", "--config", str(lookup.config("data/digits.yaml"))])
    assert not went


# What a process prints that imports the page and mounts another one, in two lines.
MOUNTED = """
import sys, ltr.app.page
print([name for name in ("torch", "lightning") if name in sys.modules])
import fastapi, gradio as gr
with gr.Blocks(analytics_enabled=False) as blocks: pass
gr.mount_gradio_app(fastapi.FastAPI(), blocks, path="/")
print(blocks.has_launched, blocks.is_running)
"""


@pytest.fixture(scope="module")
def mounted() -> list[str]:
    """Return the last two lines that it prints."""
    pytest.importorskip("gradio")
    done = subprocess.run([sys.executable, "-c", MOUNTED], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-2:]


@pytest.mark.slow
def test_gradio_does_not_mark_a_mounted_page_as_launched(mounted: list[str]) -> None:
    """Gradio checks the files that a request names only in a launched page, so `page.application` marks it.

    If this fails, Gradio does it itself, and these lines can go.
    """
    assert mounted[1] == "False False"


@pytest.mark.slow
def test_the_page_is_there_before_torch(mounted: list[str]) -> None:
    """Torch and Lightning take seconds to import; a thread does it once the page answers."""
    assert mounted[0] == "[]"


@pytest.mark.parametrize("given", ["--trust mine --trust theirs", "--trust mine theirs"])
def test_several_packages_can_be_trusted(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    packages: list[Any] = []

    def note(_runs: Path, _folders: Any, trusted: tuple[str, ...]) -> None:
        packages.extend(trusted)
        raise InputError("noted.")

    monkeypatch.setattr("ltr.app.serve.AllowedPaths", note)
    with pytest.raises(InputError, match="noted"):
        call(app, given.split())
    assert packages == ["mine", "theirs"]
