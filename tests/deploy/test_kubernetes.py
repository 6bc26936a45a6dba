"""The manifests: against Kubernetes's own schemas, against each other, and against what Rushes is."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from rushes import config
from rushes.api import PAGES, ROUTES
from rushes.blobs import Blobs
from rushes.work import loop
from tests.deploy.places import DEPLOY, Yaml, documents, program, ran

FOLDER = DEPLOY / "kubernetes"
SCHEMAS = ("1.30", "1.34", kubernetes_validate.latest_version())
MOUNTED = "/run/secrets/rushes/"
INSIDE = {"/metrics", "/readyz", "/healthz"}
API_SECONDS = 10


def manifests() -> list[Yaml]:
    """Every object that is applied, and the example of the secret."""
    files = [*_kustomization()["resources"], "secret.example.yaml"]
    return [document for name in files for document in documents((FOLDER / name).read_text())]


def _kustomization() -> Yaml:
    [document] = documents((FOLDER / "kustomization.yaml").read_text())
    return document


def of_kind(kind: str) -> dict[str, Yaml]:
    """The objects of a kind, by their names."""
    return {each["metadata"]["name"]: each for each in manifests() if each["kind"] == kind}


def pods() -> dict[str, Yaml]:
    """What each deployment says of its pods."""
    return {name: each["spec"]["template"] for name, each in of_kind("Deployment").items()}


def container(pod: Yaml) -> Yaml:
    """The one container of a pod."""
    [only] = pod["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def selected(labels: Yaml) -> set[str]:
    """The deployments whose pods have those labels."""
    return {name for name, pod in pods().items() if labels.items() <= pod["metadata"]["labels"].items()}


PODS = [pytest.param(pod, id=name) for name, pod in pods().items()]

# --- as Kubernetes reads them ---


@pytest.mark.parametrize("release", SCHEMAS)
def test_every_manifest_is_one_of_kubernetes(release: str) -> None:
    for each in manifests():
        kubernetes_validate.validate(each, release, strict=True)


def test_kustomize_puts_them_together_with_the_image_it_is_told() -> None:
    built = ran(program("kubectl", "apt-get install kubernetes-client"), "kustomize", str(FOLDER))
    objects = {(each["kind"], each["metadata"]["name"]): each for each in documents(built)}
    expected = {(each["kind"], each["metadata"]["name"]) for each in manifests()} - {("Secret", "rushes")}
    assert set(objects) == expected
    [image] = _kustomization()["images"]
    assert image["newTag"] == version("rushes")
    assert container(objects["Deployment", "rushes-api"]["spec"]["template"])["image"].endswith(f":{image['newTag']}")


def test_each_file_is_applied_but_for_the_secrets_example() -> None:
    files = {path.name for path in FOLDER.iterdir()} - {"kustomization.yaml", "secret.example.yaml"}
    assert set(_kustomization()["resources"]) == files


# --- as they read each other ---


def test_a_deployment_selects_its_own_pods_and_spreads_them() -> None:
    for name, deployment in of_kind("Deployment").items():
        assert selected(deployment["spec"]["selector"]["matchLabels"]) == {name}
        [spread] = pods()[name]["spec"]["topologySpreadConstraints"]
        assert selected(spread["labelSelector"]["matchLabels"]) == {name}


def test_each_deployment_has_a_budget_and_a_network_policy_of_its_own() -> None:
    for name, budget in of_kind("PodDisruptionBudget").items():
        assert selected(budget["spec"]["selector"]["matchLabels"]) == {name}
        assert budget["spec"]["maxUnavailable"] < of_kind("Deployment")[name]["spec"]["replicas"]
    for name, policy in of_kind("NetworkPolicy").items():
        assert selected(policy["spec"]["podSelector"]["matchLabels"]) == {name}
    assert set(of_kind("PodDisruptionBudget")) == set(of_kind("NetworkPolicy")) == set(of_kind("Deployment"))


def test_the_ingress_leads_to_the_service_and_that_to_the_api_alone() -> None:
    [service] = of_kind("Service").values()
    assert selected(service["spec"]["selector"]) == {"rushes-api"}
    [port] = service["spec"]["ports"]
    assert port["targetPort"] in {each["name"] for each in container(pods()["rushes-api"])["ports"]}
    for path in _paths():
        backend = path["backend"]["service"]
        assert (backend["name"], backend["port"]["name"]) == (service["metadata"]["name"], port["name"])


def test_whoever_may_call_a_pod_calls_a_port_that_it_has() -> None:
    for name, policy in of_kind("NetworkPolicy").items():
        open_ports = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        assert open_ports == {each["name"] for each in container(pods()[name])["ports"]}
        assert all(rule["from"] for rule in policy["spec"]["ingress"])


def test_a_worker_shows_its_figures_at_its_port() -> None:
    worker = container(pods()["rushes-worker"])
    [port], [variable] = worker["ports"], worker["env"]
    assert variable == {"name": "RUSHES_WORKER_METRICS", "value": f"0.0.0.0:{port['containerPort']}"}


def test_each_volume_is_mounted_and_each_mount_is_a_volume() -> None:
    for pod in pods().values():
        volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
        assert set(volumes) == {each["name"] for each in container(pod)["volumeMounts"]}
        assert volumes["settings"]["configMap"]["name"] in of_kind("ConfigMap")
        assert volumes["secrets"]["secret"]["secretName"] in of_kind("Secret")
        assert {each["configMapRef"]["name"] for each in container(pod)["envFrom"]} <= set(of_kind("ConfigMap"))


# --- as Rushes is ---


def _paths() -> list[Yaml]:
    [ingress] = of_kind("Ingress").values()
    return [path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]


def _public(route: str) -> bool:
    return any(
        route == path["path"] or (path["pathType"] == "Prefix" and route.startswith(path["path"] + "/"))
        for path in _paths()
    )


@pytest.mark.parametrize("route", sorted({**ROUTES, **PAGES}))
def test_a_route_is_public_unless_it_is_for_those_who_watch(route: str) -> None:
    assert _public(route) is (route not in INSIDE)


def test_probes_ask_what_there_is_and_wait_for_its_answer() -> None:
    api = container(pods()["rushes-api"])
    asked = {name: api[f"{name}Probe"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["httpGet"]["path"] for name, probe in asked.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    assert {probe["httpGet"]["port"] for probe in asked.values()} == {"http"}
    assert {probe["httpGet"]["path"] for probe in asked.values()} <= set(ROUTES)
    assert asked["readiness"]["timeoutSeconds"] >= 5  # two questions of two seconds


def test_a_pod_has_the_time_to_stop_that_it_needs() -> None:
    api, worker = pods()["rushes-api"]["spec"], pods()["rushes-worker"]["spec"]
    unseen = container(pods()["rushes-api"])["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert api["terminationGracePeriodSeconds"] >= unseen + API_SECONDS + 10
    assert worker["terminationGracePeriodSeconds"] >= loop._GRACE_SECONDS + 20


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_may_do_nothing_but_its_work(pod: Yaml) -> None:
    about, inside = pod["spec"]["securityContext"], container(pod)["securityContext"]
    assert about["runAsNonRoot"] is True
    assert about["runAsUser"] == about["runAsGroup"] == about["fsGroup"] == 10001
    assert about["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert inside == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
    written = {each["mountPath"] for each in container(pod)["volumeMounts"] if not each.get("readOnly")}
    assert written == {"/data", "/tmp"}
    assert all("sizeLimit" in volumes[name]["emptyDir"] for name in ("data", "tmp"))


def test_rushes_can_start_from_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a pod reads them: rushes.toml from its folder, variables, secrets as files."""
    for name in os.environ:
        if name.startswith(("RUSHES_", "AWS_")):
            monkeypatch.delenv(name)
    for name, text in of_kind("Secret")["rushes"]["stringData"].items():
        (tmp_path / name).write_text(text)
    (tmp_path / "rushes.toml").write_text(of_kind("ConfigMap")["rushes"]["data"]["rushes.toml"])
    monkeypatch.chdir(tmp_path)
    for name, value in of_kind("ConfigMap")["rushes-environment"]["data"].items():
        if value.startswith(MOUNTED):
            assert (tmp_path / value.removeprefix(MOUNTED)).is_file()
        monkeypatch.setenv(name, value.replace(MOUNTED, f"{tmp_path}/"))
    settings = config.load()
    Blobs(settings.data, settings.storage_url, config.secret)
    assert settings.storage_url == "s3://films/library"
    assert settings.database_url == of_kind("Secret")["rushes"]["stringData"]["database_url"]
    [host] = of_kind("Ingress")["rushes"]["spec"]["rules"]
    assert settings.public_url == f"https://{host['host']}"
