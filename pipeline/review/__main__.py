"""python -m pipeline.review: look at doubtful cells in a browser and answer with one key."""

from __future__ import annotations

import argparse
import errno
import re
import secrets
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from pipeline import params
from pipeline.errors import PipelineError, one_line, run
from pipeline.review import session
from pipeline.review.pictures import Pictures
from pipeline.review.server import Server, is_loopback

PORT = 8300
SHORTEST_TOKEN = 16


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.review",
        description="Serve a page that shows the cells most worth a look, one by one or as sheets, "
        "and writes what you answer into data/corrections.csv at once.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on (%(default)s)")
    parser.add_argument("--port", type=int, help=f"(default: {PORT}, or a free one)")
    parser.add_argument(
        "--token",
        help=f"secret of the page's address, {SHORTEST_TOKEN} characters or more; "
        "has to be given for a --host that other machines reach",
    )
    parser.add_argument("--open", action="store_true", help="open the page in your browser")
    options = parser.parse_args(arguments)
    token = _token(options.host, options.token)
    reviewed = session.load()
    folder = Path(params.load().data.images)
    server = _server(reviewed, Pictures(folder, reviewed.table.given.images), token, options)
    print(f"Review: {server.url}", "Ctrl-C ends it", sep="\n", flush=True)
    if options.open:
        webbrowser.open(server.url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        count = len(reviewed.answered())
        print(f"\n{count} answers in {reviewed.path}; they count from the next `dvc repro` on")
    finally:
        server.server_close()


def _token(host: str, given: str | None) -> str:
    if given is None:
        if not is_loopback(host):
            raise PipelineError(
                f"--host {host}: other machines reach it; give a secret with --token, of "
                f"{SHORTEST_TOKEN} characters or more, or use 127.0.0.1 through an SSH tunnel"
            )
        return secrets.token_urlsafe(24)
    if len(given) < SHORTEST_TOKEN or not re.fullmatch(r"[A-Za-z0-9_-]+", given):
        raise PipelineError(f"--token: expected {SHORTEST_TOKEN} or more letters, digits, - and _")
    return given


def _server(
    reviewed: session.Session, pictures: Pictures, token: str, options: argparse.Namespace
) -> Server:
    port = PORT if options.port is None else options.port
    if not 0 <= port < 2**16:
        raise PipelineError(f"--port {port}: expected 1 to 65535, or 0 for a free one")
    try:
        return Server(reviewed, pictures, token, options.host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise PipelineError(f"--host {options.host}: {one_line(error)}") from error
        if options.port is not None:
            raise PipelineError(f"--port {port}: in use; choose another") from error
        return Server(reviewed, pictures, token, options.host, 0)


if __name__ == "__main__":
    run(main)
