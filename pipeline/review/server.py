"""The page's server: for one person, on this machine unless asked otherwise."""

from __future__ import annotations

import errno
import hmac
import ipaddress
import json
import re
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pipeline.data.answers import Answer, AnsweredMeanwhileError
from pipeline.data.images import ImageError
from pipeline.errors import PipelineError, one_line
from pipeline.review import page
from pipeline.review.pictures import SIDES, Pictures
from pipeline.review.queues import Choice
from pipeline.review.session import Session

MOST_BYTES = 1_000_000
"""Of a request's body."""
_PICTURE = re.compile(r"/pictures/(\d{1,9})")
_JSON = "application/json"


class Refused(Exception):  # noqa: N818  an answer, not a defect
    """A request that gets an answer other than 200: ``status``, ``reason`` and what else the page
    needs to know."""

    def __init__(
        self, status: HTTPStatus, reason: str, content: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(status, reason)
        self.status, self.reason, self.content = status, reason, content


@dataclass(frozen=True)
class Run:
    """A finished run and its pictures."""

    session: Session
    pictures: Pictures


class Server(ThreadingHTTPServer):
    """Serves the page of ``run`` to whoever knows ``token``; that of a later one, which ``load``
    reads, once the page is asked for again.

    Raises
    ------
    OSError
        If the address is taken or not this machine's.
    """

    daemon_threads = True

    def __init__(self, run: Run, token: str, host: str, port: int, load: Callable[[], Run]) -> None:
        self.run, self.token, self.host = run, token, host
        self._load, self._loading = load, threading.Lock()
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    def refresh(self) -> Run:
        """The finished run that is there now; the one before while another is under way."""
        with self._loading, suppress(PipelineError, OSError):
            if self.run.session.is_outdated():
                self.run = self._load()
        return self.run

    @property
    def url(self) -> str:
        """Address of the page, with the token."""
        host = socket.gethostname() if self.host in ("0.0.0.0", "::", "") else self.host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.server_address[1]}/?token={self.token}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no news."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "review", ""
    timeout = 60

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line per picture hides what matters."""

    def _answer(self, handle: Any) -> None:
        try:
            handle()
        except Refused as refused:
            # What was not read of the body would be taken for the next request.
            self.close_connection = True
            content = refused.content or {}
            self._send(_json({"error": refused.reason, **content}), _JSON, refused.status)

    def _get(self) -> None:
        path, query = self._checked()
        if path == "/":
            start = self._made(self.server.refresh().session.overview)
            content = page.render({"token": self.server.token, **start})
            policy = page.allow(page.SERVED)
            self._send(content.encode(), "text/html; charset=utf-8", policy=policy)
        elif path == "/cells":
            choice = Choice(*(query.get(name, "") for name in ("attribute", "value", "image")))
            queue = query.get("queue", "")
            cells = self._made(lambda: self._run(query).session.cells(queue, choice))
            self._send(_json(cells), _JSON)
        elif found := _PICTURE.fullmatch(path):
            side = max(SIDES) if query.get("large") else min(SIDES)
            jpeg = self._jpeg(self._run(query), int(found[1]), side)
            self._send(jpeg, "image/jpeg", keep="private, max-age=600")
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "nothing here")

    def _run(self, query: Mapping[str, str]) -> Run:
        """The run whose page asks: another one has other rows."""
        run = self.server.run
        if query.get("run") != run.session.stamp:
            raise Refused(
                HTTPStatus.CONFLICT, "the table was filled anew meanwhile; load the page again"
            )
        return run

    def _jpeg(self, run: Run, row: int, side: int) -> bytes:
        if row >= len(run.session.lists.table.given.images):
            raise Refused(HTTPStatus.NOT_FOUND, "no such row")
        try:
            return run.pictures.jpeg(row, side)
        except ImageError as error:
            raise Refused(HTTPStatus.NOT_FOUND, str(error)) from error

    def _post(self) -> None:
        path, query = self._checked()
        origin = self.headers.get("Origin", "")
        if urlsplit(origin).netloc != self.headers["Host"] or not origin.startswith("http"):
            raise Refused(HTTPStatus.FORBIDDEN, "not sent by the page of this server")
        if path != "/answers":
            raise Refused(HTTPStatus.NOT_FOUND, "nothing here")
        given = _answers(self._body())
        session = self._run(query).session
        try:
            content = self._made(lambda: session.put(given))
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            what = "no space left on the disk" if full else one_line(error)
            raise Refused(HTTPStatus.INSUFFICIENT_STORAGE, f"{session.path}: {what}") from error
        self._send(_json(content), _JSON)

    def _made(self, make: Any) -> Any:
        try:
            return make()
        except AnsweredMeanwhileError as error:
            current = {"image": error.image, "attribute": error.attribute, "answer": error.current}
            raise Refused(HTTPStatus.CONFLICT, str(error), {"current": current}) from error
        except PipelineError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error

    def _checked(self) -> tuple[str, dict[str, str]]:
        """Path and query of a request that may be answered."""
        target = urlsplit(self.path)
        if not self._own_host(self.headers.get_all("Host") or []) or target.netloc:
            raise Refused(HTTPStatus.FORBIDDEN, "asked under a name that is not this server's")
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        token = query.get("token") or self.headers.get("X-Token") or ""
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise Refused(
                HTTPStatus.FORBIDDEN, "no token, or a wrong one; open the address that was printed"
            )
        return target.path, query

    def _own_host(self, given: list[str]) -> bool:
        """Whether the Host header is a name of this server.

        A page on another site can make its own name point here (DNS rebinding), but then the
        browser sends that name; a number is no name.
        """
        try:
            host = urlsplit(f"//{given[0]}").hostname if len(given) == 1 else None
        except ValueError:
            return False
        if not host:
            return False
        if is_loopback(host):
            return True
        if is_loopback(self.server.host):
            return False
        try:
            ipaddress.ip_address(host)
        except ValueError:
            own = self.server.host, socket.gethostname(), socket.getfqdn()
            return host.removesuffix(".local") in {name.lower() for name in own}
        return True

    def _body(self) -> Any:
        kind = (self.headers.get("Content-Type") or "").split(";")[0].strip().lower()
        length = self.headers.get("Content-Length") or ""
        if kind != _JSON:
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"expected {_JSON}")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "expected the length of the body")
        if len(length) > 9 or int(length) > MOST_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MOST_BYTES} bytes")
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "not JSON") from error

    def _send(
        self,
        content: bytes,
        kind: str,
        status: HTTPStatus = HTTPStatus.OK,
        policy: str = "default-src 'none'",
        keep: str = "no-store",
    ) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(content))),
            ("Content-Security-Policy", policy),
            ("Cache-Control", keep),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _answers(body: Any) -> list[Answer]:
    """The answers in a request.

    Raises
    ------
    Refused
        If it has another form.
    """
    wrong = Refused(
        HTTPStatus.BAD_REQUEST,
        "expected {answers: [{image, attribute, value, before, queue}]}, all texts; value and "
        "before may be null",
    )
    given = body.get("answers") if isinstance(body, dict) else None
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise wrong
    found = []
    for one in given:
        image, attribute, queue = (one.get(name) for name in ("image", "attribute", "queue"))
        value, before = one.get("value"), one.get("before")
        if not all(isinstance(text, str) for text in (image, attribute, queue)):
            raise wrong
        if not all(isinstance(text, str | None) for text in (value, before)):
            raise wrong
        found.append(Answer(image, attribute, value, before, {"queue": queue}))
    return found


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
