"""Settings: where they come from, which wins, and the sentence for each that is wrong."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from rushes import config
from rushes.catalogue import VIDEO_MODELS
from rushes.errors import BadSetting

OWN = """
[models.wan]
provider = "my.module:Wan"
sizes = { "16:9" = [1280, 720], "1:1" = [960, 960] }
durations = [5, 10]
credits_per_second = "0.5"
steps = 30
"""


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RUSHES_")]:
        monkeypatch.delenv(name)


def complaint(**told: object) -> str:
    with pytest.raises(BadSetting) as caught:
        config.load(**told)
    assert "\n" not in caught.value.sentence
    return caught.value.sentence


def write(text: str, path: str = "rushes.toml") -> None:
    Path(path).write_text(text)


def test_nothing_need_be_told() -> None:
    told = config.load()
    assert (told.data, told.database_url, told.public_url) == (Path("rushes-data"), None, None)
    assert told.sandbox_only
    assert told.video_models == VIDEO_MODELS
    assert all((route := told.route(model)) and route.provider == "sandbox" for model in VIDEO_MODELS)


def test_what_is_told_wins_over_the_environment_and_that_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write("worker_concurrency = 3\nlease_seconds = 3\nsweep_seconds = 3")
    monkeypatch.setenv("RUSHES_LEASE_SECONDS", "4")
    monkeypatch.setenv("RUSHES_SWEEP_SECONDS", "4")
    told = config.load(sweep_seconds=5)
    assert (told.worker_concurrency, told.lease_seconds, told.sweep_seconds) == (3, 4, 5)


def test_none_means_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_DATA", "elsewhere")
    assert config.load(data=None).data == Path("elsewhere")


def test_an_empty_variable_means_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    write('public_url = "https://studio.test"')
    monkeypatch.setenv("RUSHES_DATABASE_URL", "")
    monkeypatch.setenv("RUSHES_PUBLIC_URL", "")
    assert (config.load().database_url, config.load().public_url) == (None, "https://studio.test")


def test_the_file_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    write("worker_concurrency = 3")
    write("worker_concurrency = 7", "other.toml")
    monkeypatch.setenv("RUSHES_CONFIG", "other.toml")
    assert config.load().worker_concurrency == 7


def test_a_named_file_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_CONFIG", "missing.toml")
    assert "RUSHES_CONFIG" in complaint()
    assert "missing.toml" in complaint()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKER_CONCURRENCY", "0"),
        ("WORKER_CONCURRENCY", "1001"),
        ("WORKER_CONCURRENCY", "many"),
        ("WORKER_CONCURRENCY", "1.5"),
        ("LEASE_SECONDS", "0.4"),
        ("LEASE_SECONDS", "soon"),
        ("LEASE_SECONDS", "nan"),
        ("JOB_TIMEOUT_SECONDS", "0"),
        ("JOB_TIMEOUT_SECONDS", "-1"),
        ("SWEEP_SECONDS", "0"),
        ("SWEEP_SECONDS", "inf"),
        ("INPUT_IMAGE_BYTES", "0"),
        ("INPUT_VIDEO_BYTES", "50MB"),
        ("INPUT_SECONDS", "-3"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_URL", "rushes.db"),
        ("PUBLIC_URL", "studio.test"),
        ("PUBLIC_URL", "ftp://studio.test"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", 'https://studio.test"'),
        ("PUBLIC_URL", "https://studio.test/path?y"),
        ("URL_ALIASES", "http://studio.test,studio"),
        ("TRUSTED_PROXIES", "10.0.0.0/8"),
        ("TRUSTED_PROXIES", "127.0.0.1,gateway"),
        ("MODELS", "{not json"),
        ("MODELS", '{"wan": 5}'),
        ("MODELS", '{"veo3.1": {"id": "x"}}'),
    ],
)
def test_a_wrong_value_is_told_with_its_settings_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"RUSHES_{name}", value)
    assert name.lower() in complaint().lower()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("worker_concurency = 3", "worker_concurency"),
        ("[storage]\nurl = 's3://x'", "storage"),
        ("worker_concurrency = 'many'", "worker_concurrency"),
        ("worker_concurrency = = 3", "rushes.toml"),
        ("url_aliases = 5", "url_aliases"),
        ("[models.wan]\nid = 'x'", "models.wan.provider"),
    ],
)
def test_a_mistake_in_the_file_is_told_by_name(text: str, named: str) -> None:
    write(text)
    assert named in complaint()
    assert "rushes.toml" in complaint()


def test_what_the_command_line_told_wrong_is_named_too() -> None:
    assert "WORKER_CONCURRENCY" in complaint(worker_concurrency=0)


def test_a_wrong_database_address_is_told_without_its_password() -> None:
    sentence = complaint(database_url="mysql://rushes:hunter2@db/rushes")
    assert "DATABASE_URL" in sentence
    assert "hunter2" not in sentence


# Secrets in files


def test_a_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write("  postgresql://rushes:hunter2@db/rushes\n", "secret")
    write('database_url = "postgresql://the-file"')
    monkeypatch.setenv("RUSHES_DATABASE_URL_FILE", "secret")
    assert config.load().database_url == "postgresql://rushes:hunter2@db/rushes"
    monkeypatch.setenv("RUSHES_DATABASE_URL", "postgresql://the-environment")
    assert config.load().database_url == "postgresql://the-environment"


@pytest.mark.parametrize("path", ["missing", "."])
def test_a_secrets_file_that_cannot_be_read_is_told(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("RUSHES_DATABASE_URL_FILE", path)
    assert "RUSHES_DATABASE_URL_FILE" in complaint()


# Lists


def test_a_list_is_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_ALLOW_PRIVATE_HOSTS", " media.lan, 10.0.0.0/8 ,,")
    monkeypatch.setenv("RUSHES_TRUSTED_PROXIES", "10.0.0.1")
    told = config.load()
    assert told.allow_private_hosts == {"media.lan", "10.0.0.0/8"}
    assert told.trusted_proxies == {"10.0.0.1"}
    assert told.url_aliases == frozenset()


def test_a_list_in_the_file_is_a_list_or_a_text() -> None:
    write('url_aliases = ["http://a", "http://b"]\nallow_private_hosts = "x, y"')
    assert config.load().url_aliases == {"http://a", "http://b"}
    assert config.load().allow_private_hosts == {"x", "y"}


def test_a_public_address_has_no_slash_at_its_end() -> None:
    assert config.load(public_url="https://studio.test/rushes/").public_url == "https://studio.test/rushes"


# Routes


def test_a_route_leads_a_known_model_to_a_provider() -> None:
    write('[models."veo3.1"]\nprovider = "fal"\nid = "fal-ai/veo3.1"')
    told = config.load()
    route = told.route("veo3.1")
    assert route is not None
    assert (route.provider, route.options) == ("fal", {"id": "fal-ai/veo3.1"})
    assert told.video_models == {"veo3.1": VIDEO_MODELS["veo3.1"]}
    assert told.route("pixverse5.5") is None
    assert not told.sandbox_only


def test_a_model_of_ones_own_declares_what_it_can_be_asked_for() -> None:
    write(OWN)
    told = config.load().video_models["wan"]
    assert (told.aspect_ratios, told.durations) == (("16:9", "1:1"), (5, 10))
    assert told.sizes["1:1"] == (960, 960)
    assert told.credits(10) == Decimal(5)
    route = config.load().route("wan")
    assert route is not None
    assert route.options == {"steps": 30}


def test_a_known_model_may_declare_only_what_differs() -> None:
    write('[models."veo3.1"]\nprovider = "fal"\ndurations = [8]')
    told = config.load().video_models["veo3.1"]
    assert (told.durations, told.sizes, told.credits(8)) == ((8,), VIDEO_MODELS["veo3.1"].sizes, Decimal(160))


@pytest.mark.parametrize("field", ["sizes", "durations", "credits_per_second"])
def test_a_model_of_ones_own_without_a_declaration_is_refused_by_name(field: str) -> None:
    write("\n".join(line for line in OWN.splitlines() if not line.startswith(field)))
    assert field in complaint()
    assert "wan" in complaint()
    assert [other for other in ("sizes", "durations", "credits_per_second") if other in complaint()] == [field]


def test_everything_undeclared_is_named_at_once() -> None:
    write('[models.wan]\nprovider = "my.module:Wan"')
    assert all(field in complaint() for field in ("wan", "sizes", "durations", "credits_per_second"))


def test_a_model_of_ones_own_may_cost_nothing() -> None:
    write(OWN.replace('"0.5"', "0"))
    assert config.load().video_models["wan"].credits(10) == 0


@pytest.mark.parametrize(
    ("declared", "instead", "named"),
    [
        ('"0.5"', '"-1"', "credits_per_second"),
        ('"0.5"', '"nan"', "credits_per_second"),
        ("[5, 10]", "[0]", "durations"),
        ("[5, 10]", "[-5]", "durations"),
        ("[5, 10]", '["5s"]', "durations"),
        ("[1280, 720]", "[1280]", "sizes"),
        ("[1280, 720]", "[0, 720]", "sizes"),
        ("[1280, 720]", "[1281, 720]", "sizes"),
        ("[1280, 720]", "[2, 720]", "sizes"),
        ("[1280, 720]", "[1280, 20000]", "sizes"),
        ("[1280, 720]", "[1280, -2]", "sizes"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused_by_name(declared: str, instead: str, named: str) -> None:
    write(OWN.replace(declared, instead))
    assert named in complaint()


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        config.load().data = Path("elsewhere")
