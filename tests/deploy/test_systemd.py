"""The units of systemd, judged by systemd itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rushes import serve
from rushes.work import loop
from tests.deploy.places import DEPLOY, faults, program, ran

FOLDER = DEPLOY / "systemd"
UNITS = sorted(path.name for path in FOLDER.glob("*.service"))
PROGRAM = "/opt/rushes/bin/rushes"
MOST_EXPOSED = "20"  # of 100; a service without any of it has 96


def settings(unit: str) -> Iterator[tuple[str, str]]:
    """A unit's settings, each line of them."""
    for line in (FOLDER / unit).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield name, value


@pytest.fixture(params=UNITS)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Each unit, with a program that is there; a worker's as its first."""
    text = (FOLDER / request.param).read_text()
    assert f"ExecStart={PROGRAM} " in text
    path = tmp_path / str(request.param).replace("@.", "@1.")
    path.write_text(text.replace(PROGRAM, str(Path(sys.executable).with_name("rushes"))))
    return path


def test_there_is_one_for_a_machine_of_its_own_and_two_for_many() -> None:
    assert UNITS == ["rushes-api.service", "rushes-worker@.service", "rushes.service"]


def test_systemd_finds_no_fault_with_a_unit(unit: Path) -> None:
    assert faults(program("systemd-analyze", "apt-get install systemd"), "verify", "--man=no", str(unit)) == ""


def test_a_unit_leaves_little_open(unit: Path) -> None:
    systemd = program("systemd-analyze", "apt-get install systemd")
    ran(systemd, "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}", str(unit))


@pytest.mark.parametrize("unit_name", UNITS)
def test_a_unit_gives_the_time_to_stop_that_is_needed(unit_name: str) -> None:
    told = dict(settings(unit_name))
    needed = 10 if "--no-worker" in told["ExecStart"] else max(loop._GRACE_SECONDS, serve._STOP_SECONDS)
    assert float(told["TimeoutStopSec"].removesuffix("s")) >= needed + 10
    assert (told["KillMode"], told["KillSignal"], told["Restart"]) == ("mixed", "SIGTERM", "on-failure")


@pytest.mark.parametrize("unit_name", UNITS)
def test_a_unit_keeps_its_data_where_systemd_lets_it(unit_name: str) -> None:
    told = list(settings(unit_name))
    [state] = [value for name, value in told if name == "StateDirectory"]
    assert ("Environment", f"RUSHES_DATA=%S/{state}") in told


@pytest.mark.parametrize("unit_name", UNITS)
def test_each_credential_is_loaded_and_read(unit_name: str) -> None:
    told = list(settings(unit_name))
    loaded = {value.partition(":")[0] for name, value in told if name == "LoadCredential"}
    read = {value.partition("=%d/")[2] for name, value in told if name == "Environment" and "=%d/" in value}
    assert loaded == read


def test_the_users_file_is_one_that_systemd_reads() -> None:
    sysusers = program("systemd-sysusers", "apt-get install systemd")
    ran(sysusers, "--dry-run", str(FOLDER / "rushes.sysusers"))
    assert {dict(settings(unit))["User"] for unit in UNITS} == {"rushes"}
