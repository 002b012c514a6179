"""Who may ask the server for what."""

from __future__ import annotations

import http.client
import io
import json
import shutil
import socket
import threading
from dataclasses import replace

import pytest
from PIL import Image

from pipeline.review.server import Server, is_loopback
from tests import finished_run
from tests.review.conftest import TOKEN, Site

ANSWER = {"image": "image_000.png", "attribute": "has_hat", "value": "1", "queue": "doubtful"}


def ask(
    site: Site, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """Status and content; with a body a POST as the page sends it, but for ``headers``."""
    path += f"{'&' if '?' in path else '?'}run={site.run}"
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    own = {"Host": f"127.0.0.1:{site.port}", "X-Token": TOKEN}
    if body is not None:
        own |= {"Origin": f"http://127.0.0.1:{site.port}", "Content-Type": "application/json"}
    own |= headers or {}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.putrequest("GET" if body is None else "POST", path, skip_host=True)
    for name, value in own.items():
        if value:
            connection.putheader(name, value)
    if body is not None and "Content-Length" not in own:
        connection.putheader("Content-Length", str(len(content)))
    connection.endheaders(content if body is not None else None)
    reply = connection.getresponse()
    found = reply.status, reply.read()
    connection.close()
    return found


def post(site: Site, body: object, headers: dict[str, str] | None = None) -> int:
    return ask(site, "/answers", body, headers)[0]


def test_the_page_its_cells_and_a_picture(site: Site) -> None:
    status, page = ask(site, "/")
    assert status == 200
    assert b"<h1>Review</h1>" in page
    status, found = ask(site, "/cells?queue=doubtful")
    assert status == 200
    cell = json.loads(found)["cells"][0]
    status, jpeg = ask(site, f"/pictures/{cell['row']}?large=1")
    assert status == 200
    assert Image.open(io.BytesIO(jpeg)).format == "JPEG"
    assert post(site, {"answers": [ANSWER]}) == 200
    assert site.said() == {("image_000.png", "has_hat"): "1"}


@pytest.mark.parametrize("path", ["/", "/cells?queue=doubtful", "/pictures/0", "/nothing"])
@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], f"{TOKEN}x", "\u00e9"])
def test_nothing_without_the_token(site: Site, path: str, token: str) -> None:
    status, content = ask(site, path, headers={"X-Token": token})
    assert status == 403
    assert TOKEN.encode() not in content


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:80", "127.0.0.1.evil.org", "192.168.0.1", "[", "@"],
)
def test_nothing_under_another_name(site: Site, host: str) -> None:
    assert ask(site, "/cells?queue=doubtful", headers={"Host": host})[0] in (400, 403)
    assert post(site, {"answers": [ANSWER]}, {"Host": host, "Origin": f"http://{host}"}) in (
        400,
        403,
    )
    assert site.said() == {}


def test_other_names_of_this_machine_are_its_own(site: Site) -> None:
    for host in (f"localhost:{site.port}", "LOCALHOST", "[::1]:9000", "127.0.0.2"):
        assert ask(site, "/cells?queue=doubtful", headers={"Host": host})[0] == 200


@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "http://127.0.0.1:1", "file://", "http://"]
)
def test_only_the_own_page_may_write(site: Site, origin: str) -> None:
    assert post(site, {"answers": [ANSWER]}, {"Origin": origin}) == 403
    assert site.said() == {}


@pytest.mark.parametrize(
    "path",
    [
        "/../params.yaml",
        "/pictures/../../params.yaml",
        "/pictures/..%2f..%2fparams.yaml",
        "/pictures//etc/passwd",
        "/pictures/%2fetc%2fpasswd",
        "/etc/passwd",
        "//etc/passwd",
        "/pictures/-1",
        "/pictures/100",
        "/pictures/1e3",
        "/pictures/999999999",
        "/pictures/\u0661",
        "http://evil.example/cells?queue=doubtful",
    ],
)
def test_pictures_are_asked_for_by_row_and_nothing_by_path(site: Site, path: str) -> None:
    path += f"{'&' if '?' in path else '?'}run={site.run}"
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Token: {TOKEN}\r\nConnection: close\r\n"
    with socket.create_connection(("127.0.0.1", site.port)) as raw:
        raw.sendall(f"{head}\r\n".encode())
        reply = b"".join(iter(lambda: raw.recv(65536), b""))
    assert reply.split(b" ", 2)[1] in (b"400", b"403", b"404")
    assert b"root:" not in reply
    assert b"seed:" not in reply


def test_a_row_whose_picture_is_gone_or_a_link_out_of_the_folder(site: Site) -> None:
    picture = site.folder / "data/images/image_001.png"
    picture.unlink()
    status, content = ask(site, "/pictures/1")
    assert (status, b"missing" in content) == (404, True)
    picture.symlink_to(site.folder / "params.yaml")
    status, content = ask(site, "/pictures/1")
    assert status == 404
    assert b"seed:" not in content


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 100_000, 400),
        ([], 400),
        ({}, 400),
        ({"answers": 1}, 400),
        ({"answers": [1]}, 400),
        ({"answers": [{**ANSWER, "value": 1}]}, 400),
        ({"answers": [{**ANSWER, "queue": None}]}, 400),
        ({"answers": [{**ANSWER, "value": "2"}]}, 400),
        ({"answers": [{**ANSWER, "value": "1\nx.jpg,has_hat,1"}]}, 400),
        ({"answers": [{**ANSWER, "image": "../params.yaml"}]}, 400),
        ({"answers": [{**ANSWER, "image": "\ud800"}]}, 400),
        ({"answers": [{**ANSWER, "attribute": "image"}]}, 400),
        ({"answers": [ANSWER, {**ANSWER, "image": "image_999.png"}]}, 400),
        ({"answers": [{**ANSWER, "before": "0"}]}, 409),
    ],
)
def test_what_is_no_answer_is_refused_as_a_whole(site: Site, body: object, status: int) -> None:
    assert post(site, body) == status
    assert site.said() == {}


def test_only_json_of_a_known_length(site: Site) -> None:
    for length in ("1000001", "9" * 400):
        assert post(site, b"", {"Content-Length": length}) == 413
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert post(site, {"answers": [ANSWER]}, {"Content-Type": kind}) == 415
    for length in ("-1", "x", "\u00b2"):
        assert post(site, {"answers": [ANSWER]}, {"Content-Length": length}) in (400, 411)
    assert site.said() == {}


def test_loopback_is_what_only_this_machine_reaches() -> None:
    for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        assert is_loopback(host)
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org", ""):
        assert not is_loopback(host)


def test_the_address_of_the_page(site: Site) -> None:
    assert site.url == f"http://127.0.0.1:{site.port}/?token={TOKEN}"


def test_a_page_of_an_earlier_run_has_other_rows(site: Site) -> None:
    finished_run.make(site.folder, images=50, seed=1)
    # Nobody has asked for the page: what it shows is still the run that it began with.
    assert ask(site, "/cells?queue=doubtful")[0] == 200
    status, page = ask(site, "/")
    assert status == 200
    assert site.run.encode() not in page
    status, content = ask(site, "/cells?queue=doubtful")
    assert (status, b"filled anew" in content) == (409, True)
    assert ask(site, "/pictures/1")[0] == 409
    assert post(site, {"answers": [ANSWER]}) == 409
    assert site.said() == {}


def test_while_a_run_is_under_way_the_page_is_of_the_one_before(site: Site) -> None:
    shutil.rmtree(site.folder / "data/imputed")
    assert ask(site, "/")[0] == 200
    assert ask(site, "/cells?queue=doubtful")[0] == 200
    assert post(site, {"answers": [ANSWER]}) == 200


def test_served_to_other_machines_it_goes_by_its_numbers_and_its_own_name(site: Site) -> None:
    open_one = Server(site.load(), TOKEN, "0.0.0.0", 0, site.load)
    threading.Thread(target=open_one.serve_forever, kwargs={"poll_interval": 0.02}).start()
    try:
        there = replace(site, port=open_one.server_address[1], run=open_one.run.session.stamp)
        own = socket.gethostname()
        assert open_one.url == f"http://{own}:{there.port}/?token={TOKEN}"
        for host in ("10.0.0.1", f"{own}:{there.port}", f"{own}.local", "[fe80::1]"):
            assert ask(there, "/cells?queue=doubtful", headers={"Host": host})[0] == 200
        assert ask(there, "/cells?queue=doubtful", headers={"Host": "evil.example"})[0] == 403
        assert ask(there, "/cells?queue=doubtful", headers={"X-Token": "x"})[0] == 403
    finally:
        open_one.shutdown()
        open_one.server_close()
