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
from pipeline.data import answers
from pipeline.errors import PipelineError, one_line, run
from pipeline.files import replace_file
from pipeline.review import one_file, page, session
from pipeline.review.pictures import Pictures
from pipeline.review.server import Run, Server, is_loopback

PORT = 8300
CELLS = 200
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
    parser.add_argument(
        "--export",
        type=Path,
        metavar="FILE",
        help="write the page as one .html file instead, "
        "with its pictures, that opens without a server and hands back a corrections.csv",
    )
    parser.add_argument(
        "--cells", type=int, default=CELLS, help="of --export, at most (%(default)s)"
    )
    parser.add_argument(
        "--merge",
        type=Path,
        metavar="FILE",
        help="put such a corrections.csv into "
        "data/corrections.csv instead; where they contradict one another, nothing is written",
    )
    options = parser.parse_args(arguments)
    if options.merge is not None:
        return merge(options.merge, _load().session)
    if options.export is not None:
        return export(options.export, options.cells, _load())
    token = _token(options.host, options.token)
    server = _server(_load(), token, options)
    print(f"Review: {server.url}", "Ctrl-C ends it", sep="\n", flush=True)
    if options.open:
        webbrowser.open(server.url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        reviewed = server.run.session
        print(
            f"\n{len(reviewed.answered())} answers in {reviewed.path}; they count from the next "
            "`dvc repro` on"
        )
    finally:
        server.server_close()


def export(out: Path, most: int, found: Run) -> None:
    """Write the page of ``found`` as one file with at most ``most`` cells.

    Raises
    ------
    PipelineError
        If it is no .html file in an existing folder, or there is nothing to show.
    """
    if out.suffix.lower() != ".html" or not out.absolute().parent.is_dir():
        raise PipelineError(f"--export {out}: expected a name that ends in .html, in a folder")
    if most < 1:
        raise PipelineError(f"--cells {most}: expected 1 or more")
    start = one_file.start(found.session, found.pictures, most)
    if not start["cells"]:
        raise PipelineError(f"--export {out}: no cell without an answer; nothing to look at")
    text = page.render(start, policy=page.OFFLINE)
    with replace_file(out) as staging:
        staging.write_text(text, encoding="utf-8")
    print(
        f"{out}: {len(start['cells'])} cells of {len(start['pictures'])} images, "
        f"{len(text.encode()) / 1e6:.1f} MB; its corrections.csv comes back with "
        "`python -m pipeline.review --merge corrections.csv`"
    )


def merge(path: Path, reviewed: session.Session) -> None:
    """Put the answers of another file of corrections into that of ``reviewed``.

    Raises
    ------
    PipelineError
        If there is no such file, it is none of answers on this table, or it contradicts them.
    """
    if not path.is_file():
        raise PipelineError(f"--merge {path}: no such file")
    new = answers.from_file(path, reviewed.reading)
    before = reviewed.answered()
    table = reviewed.lists.table
    try:
        answers.check(new, table.row, table.values)
        said = answers.put(new, reviewed.path, reviewed.reading)
    except PipelineError as error:
        raise PipelineError(f"--merge {path}: {error}; nothing was written") from error
    print(
        f"{path}: {len(said) - len(before)} new answers, {len(new) - len(said) + len(before)} that "
        f"{reviewed.path} had; they count from the next `dvc repro` on"
    )


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


def _load() -> Run:
    p = params.load()
    folder = Path(p.data.images)
    reviewed = session.load(folder, p.data.minus_one)
    return Run(reviewed, Pictures(folder, reviewed.lists.table.given.images))


def _server(found: Run, token: str, options: argparse.Namespace) -> Server:
    port = PORT if options.port is None else options.port
    if not 0 <= port < 2**16:
        raise PipelineError(f"--port {port}: expected 1 to 65535, or 0 for a free one")
    try:
        return Server(found, token, options.host, port, _load)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise PipelineError(f"--host {options.host}: {one_line(error)}") from error
        if options.port is not None:
            raise PipelineError(f"--port {port}: in use; choose another") from error
        return Server(found, token, options.host, 0, _load)


if __name__ == "__main__":
    run(main)
