"""The page as strangers and other pages meet it."""

from __future__ import annotations

import gc
import inspect
import os
import socket
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ltr.app.fields import resolved
from ltr.app.importing import swiftly
from ltr.app.serve import listen, loopback, open_to_others
from ltr.app.staying import staying
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


def test_twenty_clients_are_answered(site: Any) -> None:
    from gradio_client import Client

    def ask(_: int) -> int:
        client = Client(site.url, verbose=False, analytics_enabled=False)
        return len(client.predict(api_name="/list_runs")["data"])

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(ask, range(20)))
    assert len(set(found)) == 1


def test_hostile_values_are_refused_and_it_stays_up(site: Any) -> None:
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    client = Client(site.url, verbose=False, analytics_enabled=False)
    for name in ("../..", "/etc", "a/../../b", "<img src=x onerror=alert(1)>", "x" * 10_000):
        for endpoint in ENDPOINTS:
            with pytest.raises(AppError) as caught:
                client.predict(name, api_name=endpoint)
            assert "<img" not in str(caught.value)
    assert status(site.url) == 200


def test_a_taken_port_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="choose another `--port`"):
        listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("192.168.1.2", False)]
)
def test_what_is_of_this_machine_only(host: str, own: bool) -> None:
    assert loopback(host) is own


def test_importing_gradio_leaves_inspect_as_it_was() -> None:
    before = inspect.getfile
    with swiftly():
        assert inspect.getfile(test_it_answers) == __file__
    assert inspect.getfile is before
    assert gc.isenabled()


@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("::", True), ("127.0.0.1", False), ("::1", False)])
def test_a_page_for_everybody_says_so(host: str, warned: bool) -> None:
    assert ("without a password" in open_to_others(host, 7860)) is warned


def test_no_config_that_is_read_moves_the_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio answers in threads: a run looked up, or started, while another answer reads a config was elsewhere."""
    went: list[Any] = []
    monkeypatch.setattr(os, "chdir", went.append)
    resolved(["--config", str(lookup.config("gml.yaml"))])
    assert went, "jsonargparse stays by itself: `staying` can go"
    went.clear()
    with staying():
        resolved(["--config", str(lookup.config("gml.yaml"))])
    assert not went
    assert os.chdir == went.append
