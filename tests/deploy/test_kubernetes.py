"""The chart and its plain manifests: valid, equal, and at one with the settings, routes and metrics of the service."""

import copy
import json
import os
import re
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from prometheus_client import CollectorRegistry

import harmonic
from service.config import read_settings
from service.config.fields import PREFIX
from service.config.settings import Settings
from service.engine import LocalEngine
from service.http.app import create_app
from service.probe import flags_of
from service.telemetry import Metrics
from tests.support import helm

ROOT = helm.ROOT
MANIFESTS = {name: list(yaml.safe_load_all((helm.PLAIN / f"{name}.yaml").read_text())) for name in helm.VARIANTS}
OF_OTHERS = {"ServiceMonitor"}  # kinds that Kubernetes itself does not have
VERSIONS = ("1.27", "1.37")
FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # KServe's definitions are megabytes
with_helm = pytest.mark.skipif(helm.helm() is None, reason=helm.NONE)
each_variant = pytest.mark.parametrize("variant", MANIFESTS)


def found(variant, kind):
    return next((document for document in MANIFESTS[variant] if document["kind"] == kind), None)


def pod(variant):
    return found(variant, "Deployment")["spec"]["template"]["spec"]


def server(variant):
    (container,) = pod(variant)["containers"]
    return container


def environment(container):
    return {each["name"]: each["value"] for each in container["env"]}


def settings_of(container):
    """The settings that a container's service reads."""
    given = {name.removeprefix(PREFIX).lower(): value for name, value in environment(container).items()}
    values = {name: json.loads(value) if value[:1] in "[{" else value for name, value in given.items()}
    return read_settings(values | flags_of(["harmonic", *container["args"]]))


def check(document, version):
    kubernetes_validate.validate(document, version, strict=True)


@with_helm
@each_variant
def test_the_plain_manifests_are_the_chart_as_it_is_rendered(variant):
    assert helm.rendered(variant) == (helm.PLAIN / f"{variant}.yaml").read_text(), "`make manifests` renews them"


@with_helm
@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (["models.image=a", "models.store.path=b"], "give one of volume, image and store.path"),
        (["models.store.path=b"], "list it, and DNS, in networkPolicy.egress"),
        (["settings.drain_seconds=3"], "settings.drain_seconds is the chart's own"),
        (["replica=3"], "replica"),
        (["gpu.counts=1"], "counts"),
        (["settings.MAX_BATCH=1"], "MAX_BATCH"),
    ],
)
def test_what_contradicts_itself_or_is_misspelt_is_refused_by_the_chart(wish, says):
    done = helm.template(*(part for each in wish for part in ("--set", each)))
    assert done.returncode != 0
    assert says in done.stderr


@with_helm
def test_every_way_to_bring_models_is_mounted_where_the_service_looks():
    ways = ["models.volume.persistentVolumeClaim.claimName=mine", "models.image=registry/models:1"]
    for way in ways:
        documents = yaml.safe_load_all(helm.template("--set", way).stdout)
        spec = next(each for each in documents if each["kind"] == "Deployment")["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        assert {"name": "models", "mountPath": "/models", "readOnly": True} in container["volumeMounts"]
        assert [each["name"] for each in spec["volumes"]].count("models") == 1


@pytest.mark.parametrize("version", VERSIONS)
@each_variant
def test_every_manifest_is_one_that_kubernetes_takes(variant, version):
    own = [document for document in MANIFESTS[variant] if document["kind"] not in OF_OTHERS]
    assert len(own) >= 4
    for document in own:
        check(document, version)


@pytest.mark.parametrize("fault", ["terminationGracePeriod", "readonlyRootFilesystem"])
def test_a_misspelt_field_is_caught(fault):
    document = copy.deepcopy(found("harmonic", "Deployment"))
    spec = document["spec"]["template"]["spec"]
    (spec if fault.startswith("term") else spec["containers"][0]["securityContext"])[fault] = 3
    with pytest.raises(kubernetes_validate.ValidationError, match=fault):
        check(document, VERSIONS[-1])


@each_variant
def test_the_settings_are_ones_that_the_service_starts_with(variant):
    container = server(variant)
    names = {name.removeprefix(PREFIX).lower() for name in environment(container)}
    assert names <= Settings.model_fields.keys()
    read = settings_of(container)
    assert (str(read.repository), read.host, read.port, read.admin_host) == ("/models", "0.0.0.0", 8000, "0.0.0.0")
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"http": read.port, "admin": read.admin_port}


@each_variant
def test_a_pod_has_time_to_leave(variant):
    """A balancer finds it unready before the port closes, and it is not killed before it has answered."""
    read, probe = settings_of(server(variant)), server(variant)["readinessProbe"]
    noticed = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
    assert read.drain_seconds >= 2 * noticed
    assert pod(variant)["terminationGracePeriodSeconds"] >= read.drain_seconds + read.grace_seconds + 2


@each_variant
def test_a_pod_may_do_nothing_that_it_need_not(variant):
    spec = pod(variant)
    assert (spec["enableServiceLinks"], spec["automountServiceAccountToken"]) == (False, False)
    assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, 10001)
    assert f"--uid {spec['securityContext']['runAsUser']} " in (ROOT / "Dockerfile").read_text()
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
        assert container["resources"]["limits"]["memory"]


@each_variant
def test_probes_ask_routes_that_there_are(variant, tmp_path):
    (tmp_path / "models").mkdir()
    settings = Settings(repository=tmp_path / "models")
    metrics = Metrics(CollectorRegistry())
    app = create_app(settings, LocalEngine(settings, metrics), metrics)
    routes = app.openapi()["paths"].keys()
    probes = [server(variant)[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    assert [each["path"] for each in probes] == ["/livez", "/livez", "/readyz"]
    assert {each["path"] for each in probes} <= routes
    assert {each["port"] for each in probes} == {"admin"}


@each_variant
def test_everything_that_selects_pods_selects_these(variant):
    deployment = found(variant, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        found(variant, "Service")["spec"]["selector"],
        found(variant, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        found(variant, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector and selector.items() <= labels.items() for selector in selectors)
    assert found(variant, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_pods_are_counted_by_a_metric_that_the_service_has():
    scaler = found("harmonic-autoscaled", "HorizontalPodAutoscaler")["spec"]
    (metric,) = scaler["metrics"]
    assert f"| `{metric['pods']['metric']['name']}` |" in (ROOT / "docs/observability.md").read_text()
    assert scaler["scaleTargetRef"]["name"] == found("harmonic-autoscaled", "Deployment")["metadata"]["name"]
    assert "replicas" not in found("harmonic-autoscaled", "Deployment")["spec"]
    most = Settings(repository=Path("models")).max_queue or 256
    assert 0 < int(metric["pods"]["target"]["averageValue"]) < most


def test_metrics_are_looked_for_where_they_are():
    monitor, service = (found("harmonic-autoscaled", kind) for kind in ("ServiceMonitor", "Service"))
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["path"] == "/metrics"
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [port["name"] for port in found("harmonic", "Service")["spec"]["ports"]] == ["http"]


def test_keys_and_models_from_outside_are_mounted_where_the_service_reads_them():
    container = server("harmonic-autoscaled")
    volumes = {each["name"]: each for each in pod("harmonic-autoscaled")["volumes"]}
    mounts = {each["name"]: each for each in container["volumeMounts"]}
    keys = Path(environment(container)["HARMONIC_SERVE_KEYS_FILE"])
    assert (mounts["keys"]["mountPath"], mounts["keys"]["readOnly"]) == (str(keys.parent), True)
    assert [item["path"] for item in volumes["keys"]["secret"]["items"]] == [keys.name]
    (copier,) = pod("harmonic-autoscaled")["initContainers"]
    copied = next(each for each in copier["volumeMounts"] if each["name"] == "models")
    assert copied["mountPath"] in copier["args"]
    assert mounts["models"] == {"name": "models", "mountPath": "/models", "readOnly": True}


def test_a_gpu_pod_takes_its_gpu_and_waits_for_it():
    assert server("harmonic-gpu")["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert settings_of(server("harmonic-gpu")).device == "cuda"
    strategy = found("harmonic-gpu", "Deployment")["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_the_images_and_the_version_are_the_projects():
    chart = yaml.safe_load((helm.CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == harmonic.__version__
    targets = set(re.findall(r"^FROM \S+ AS (\w+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert {server(variant)["image"].partition(":")[2] for variant in MANIFESTS} == {"cpu", "gpu"} <= targets


def test_every_value_of_the_chart_is_documented():
    values = yaml.safe_load((helm.CHART / "values.yaml").read_text())
    page = (ROOT / "docs/kubernetes.md").read_text()
    assert [name for name in values if f"`{name}" not in page] == []


def closed(schema):
    """A schema that takes no field which it does not name, unless it says that it keeps unknown ones."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(each) for name, each in schema.items() if name != "properties"}
    if "properties" in schema:
        inner["properties"] = {name: closed(each) for name, each in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            inner.setdefault("additionalProperties", False)
    return inner


def kserve_schema(kind):
    root = os.environ.get("HARMONIC_DATA")
    if not root:
        pytest.skip("HARMONIC_DATA is not set; wanted KServe's definitions in its folder kserve-crds")
    definition = yaml.load((Path(root) / "kserve-crds" / f"{kind}.yaml").read_text(), FAST)
    (version,) = (each for each in definition["spec"]["versions"] if each["storage"])
    schema = closed(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}  # Kubernetes' own
    return f"{definition['spec']['group']}/{version['name']}", schema


@pytest.mark.data
@pytest.mark.parametrize(("file", "kind"), [("runtime", "clusterservingruntimes"), ("service", "inferenceservices")])
def test_kserve_takes_the_examples_and_no_misspelt_ones(file, kind):
    document = yaml.safe_load((helm.KSERVE / f"{file}.yaml").read_text())
    version, schema = kserve_schema(kind)
    assert document["apiVersion"] == version
    validator = jsonschema.Draft7Validator(schema)
    validator.validate(document)
    document["spec"].get("predictor", document["spec"])["misspelt"] = 1
    with pytest.raises(jsonschema.ValidationError, match="misspelt"):
        validator.validate(document)


def test_kserves_runtime_is_the_service_as_kserve_wants_it():
    runtime, service = (yaml.safe_load((helm.KSERVE / f"{name}.yaml").read_text()) for name in ("runtime", "service"))
    (container,) = runtime["spec"]["containers"]
    read, probe = settings_of(container), container["readinessProbe"]
    assert (container["name"], str(read.repository), read.port) == ("kserve-container", "/mnt/models", 8080)
    assert (probe["httpGet"]["path"], probe["httpGet"]["port"]) == ("/v2/health/ready", read.port)
    assert runtime["metadata"]["annotations"]["prometheus.kserve.io/port"] == str(read.admin_port)
    predictor = service["spec"]["predictor"]
    assert predictor["model"]["runtime"] == runtime["metadata"]["name"]
    (made,) = runtime["spec"]["supportedModelFormats"]
    assert predictor["model"]["modelFormat"] == {"name": made["name"], "version": made["version"]}
    assert predictor["terminationGracePeriodSeconds"] >= read.drain_seconds + read.grace_seconds + 2
    assert predictor["enableServiceLinks"] is False
