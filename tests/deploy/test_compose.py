"""The compose files: against the specification, and what they promise of every container."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from compose_spec import PyCompose

from rushes import config, serve
from rushes.blobs import Blobs
from rushes.work import loop
from tests.deploy.places import DEPLOY, Yaml, documents

FOLDER = DEPLOY / "compose"
FILES = ("one.yaml", "many.yaml")
MOUNTED = "/run/secrets/"
VARIABLE = re.compile(r"\$\{(\w+):-(.*?)\}")


def project(name: str) -> Yaml:
    """A compose file."""
    [document] = documents((FOLDER / name).read_text())
    return document


def services() -> Iterator[tuple[str, str, Yaml]]:
    """Each service that is Rushes: its file, its name, what is said of it."""
    for file in FILES:
        for name, service in project(file)["services"].items():
            if service["image"] == "rushes":
                yield file, name, service


OURS = [pytest.param(service, id=f"{file}-{name}") for file, name, service in services()]


def seconds(text: str) -> int:
    """A time as it is written here."""
    assert text.endswith("s")
    return int(text[:-1])


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_one_of_the_specification(file: str) -> None:
    PyCompose.from_json(json.dumps(project(file))).validate()


@pytest.mark.parametrize("file", FILES)
def test_nothing_is_named_that_is_not_there(file: str) -> None:
    whole = project(file)
    for service in whole["services"].values():
        assert set(service.get("secrets", ())) <= set(whole.get("secrets", ()))
        named = {volume.partition(":")[0] for volume in service.get("volumes", ()) if ":" in volume}
        assert named <= set(whole["volumes"])
        for other, wanted in service.get("depends_on", {}).items():
            assert other in whole["services"]
            assert wanted["condition"] != "service_healthy" or "test" in whole["services"][other]["healthcheck"]


def test_each_image_has_a_version_and_none_a_registry() -> None:
    images = {service["image"] for file in FILES for service in project(file)["services"].values()}
    for image in images - {"rushes"}:
        name, _, tag = image.partition(":")
        assert re.match(r"\d", tag)
        assert "." not in name.partition("/")[0]


@pytest.mark.parametrize("service", OURS)
def test_rushes_may_write_its_volume_and_tmp_and_nothing_else(service: Yaml) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [each.partition(":")[0] for each in service["tmpfs"]] == ["/tmp"]
    assert {each.split(":")[-1] for each in service.get("volumes", ())} <= {"/data"}
    assert "user" not in service  # the image says it


@pytest.mark.parametrize("service", OURS)
def test_a_service_has_the_time_to_stop_that_it_needs(service: Yaml) -> None:
    command = service.get("command", ["serve"])
    if command == ["migrate"]:
        return
    needed = 10 if "--no-worker" in command else max(loop._GRACE_SECONDS, serve._STOP_SECONDS)
    assert seconds(service["stop_grace_period"]) >= needed + 10


@pytest.mark.parametrize("service", OURS)
def test_what_answers_requests_is_looked_at_and_nothing_else(service: Yaml) -> None:
    """The image's check asks the API."""
    serves = service.get("command", ["serve"])[0] == "serve"
    assert service.get("healthcheck", {"disable": False})["disable"] is not serves


# --- secrets ---


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder that our script has filled."""
    folder = tmp_path / "secrets"
    subprocess.run([FOLDER / "secrets.sh", folder], check=True)
    return folder


def test_the_script_writes_every_secret_for_its_owner_alone(secrets: Path) -> None:
    wanted = {Path(each["file"]).name for each in project("many.yaml")["secrets"].values()}
    assert {path.name for path in secrets.iterdir()} == wanted
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in secrets.iterdir()} == {0o644}  # a container's user is another one


def test_the_script_leaves_secrets_that_are_there(secrets: Path) -> None:
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    again = subprocess.run([FOLDER / "secrets.sh", secrets], stderr=subprocess.DEVNULL, check=False)
    assert again.returncode == 1
    assert before == {path.name: path.read_text() for path in secrets.iterdir()}


def test_rushes_and_its_neighbours_are_told_the_same(secrets: Path) -> None:
    told = {path.name: path.read_text() for path in secrets.iterdir()}
    [identity] = json.loads(told["objects_keys.json"])["identities"]
    assert identity["credentials"] == [{"accessKey": told["objects_key_id"], "secretKey": told["objects_key"]}]
    postgres = project("many.yaml")["services"]["postgres"]["environment"]
    user, name = postgres["POSTGRES_USER"], postgres["POSTGRES_DB"]
    assert told["database_url"] == f"postgresql://{user}:{told['database_password']}@postgres/{name}"


@pytest.mark.parametrize("service", OURS)
def test_a_service_is_one_that_rushes_can_start_from(
    service: Yaml, secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its settings are read as the container would, the mounted files from where they were written."""
    for name in os.environ:
        if name.startswith(("RUSHES_", "AWS_")):
            monkeypatch.delenv(name)
    for name, value in service["environment"].items():
        if value.startswith(MOUNTED):
            assert value.removeprefix(MOUNTED) in service["secrets"]
        monkeypatch.setenv(name, VARIABLE.sub(r"\2", value).replace(MOUNTED, f"{secrets}/"))
    settings = config.load(data=tmp_path)
    if "secrets" in service:
        assert settings.database_url == (secrets / "database_url").read_text()
    Blobs(settings.data, settings.storage_url, config.secret)
