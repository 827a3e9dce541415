"""Kubernetes' objects, and Prometheus' for them."""

from typing import Any

import pytest
import yaml

from simcse_engine.batching.async_encoder import CPU_TOKENS
from simcse_engine.cli.serve import KEY_VARIABLE
from support.deployment import DEPLOY, IMAGES, Image, route, served


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    """By their kind."""
    names = ("kubernetes.yaml", "prometheus.yaml")
    documents = [each for name in names for each in yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8"))]
    by_kind = {each["kind"]: each for each in documents}
    assert len(by_kind) == len(documents)
    return by_kind


@pytest.fixture(scope="module")
def pod(objects: dict[str, Any]) -> Any:
    return objects["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod: Any) -> Any:
    (container,) = pod["containers"]
    return container


@pytest.mark.parametrize("image", IMAGES)
def test_the_pod_runs_an_image_as_it_is_meant(image: str, pod: Any, container: Any) -> None:
    args = served([*Image(image).entry(), *container["args"]])
    assert [port["containerPort"] for port in container["ports"]] == [args.port]
    user = "{runAsUser}:{runAsGroup}".format_map(pod["securityContext"])
    assert user == Image(image).one("runtime", "USER")
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["resources"]["requests"] == container["resources"]["limits"]
    (variable,) = container["env"]
    assert variable["name"] == KEY_VARIABLE
    # Without the secret there would be no key, and the pod must not start so.
    assert "optional" not in variable["valueFrom"]["secretKeyRef"]


def test_the_pod_ends_in_time(pod: Any, container: Any) -> None:
    args = served([*Image("Dockerfile").entry(), *container["args"]])
    sleep, before = container["lifecycle"]["preStop"]["exec"]["command"]
    assert sleep == "sleep"
    assert pod["terminationGracePeriodSeconds"] > int(before) + args.drain_seconds


def test_probes_ask_what_needs_no_key(container: Any) -> None:
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
    # A server that is full, or ends, is alive.
    assert {kind: probe["path"] for kind, probe in probes.items()} == {
        "startup": "/ready",
        "readiness": "/ready",
        "liveness": "/health",
    }
    for probe in probes.values():
        assert not route(probe["path"]).guarded
        assert probe["port"] == container["ports"][0]["name"]


def test_what_selects_pods_selects_these(objects: dict[str, Any], container: Any) -> None:
    template = objects["Deployment"]["spec"]["template"]["metadata"]
    labels = template["labels"]
    assert objects["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert objects["Service"]["spec"]["selector"] == labels
    assert objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    (port,) = container["ports"]
    (service_port,) = objects["Service"]["spec"]["ports"]
    assert service_port["targetPort"] == port["name"]

    # Prometheus selects the service, and then its pods.
    assert objects["ServiceMonitor"]["spec"]["selector"]["matchLabels"] == objects["Service"]["metadata"]["labels"]
    (endpoint,) = objects["ServiceMonitor"]["spec"]["endpoints"]
    assert endpoint["port"] == service_port["name"]
    assert not route(endpoint["path"]).guarded
    assert template["annotations"]["prometheus.io/path"] == endpoint["path"]
    assert template["annotations"]["prometheus.io/port"] == str(port["containerPort"])


def test_the_autoscaler_follows_what_the_adapter_makes(objects: dict[str, Any], container: Any) -> None:
    deployment, scaler = objects["Deployment"], objects["HorizontalPodAutoscaler"]["spec"]
    assert scaler["scaleTargetRef"]["kind"] == "Deployment"
    assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]  # or each `kubectl apply` would undo what it set
    (metric,) = scaler["metrics"]
    adapter = yaml.safe_load((DEPLOY / "prometheus-adapter.yaml").read_text(encoding="utf-8"))
    (rule,) = adapter["rules"]["custom"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]
    # More than all threads of the container take up at once: so much waits.
    under_way = int(container["resources"]["limits"]["cpu"]) * CPU_TOKENS
    assert int(metric["pods"]["target"]["averageValue"]) > under_way
