import pytest
from pydantic import ValidationError

from service.batching import BatchPolicy
from service.config.keys import make
from service.config.kubernetes import injected_here
from service.config.plans import plan
from service.config.reading import read_settings
from service.errors import StartError


def test_flags_win_over_the_environment_and_the_environment_over_the_defaults(monkeypatch):
    monkeypatch.setenv("HARMONIC_SERVE_PORT", "9000")
    monkeypatch.setenv("HARMONIC_SERVE_MAX_BATCH", "16")
    settings = read_settings({"port": 9001, "host": None})
    assert (settings.port, settings.max_batch, settings.host) == (9001, 16, "127.0.0.1")


def test_an_unknown_variable_stops_the_start(monkeypatch):
    monkeypatch.setenv("HARMONIC_SERVE_MAX_BACH", "16")
    with pytest.raises(StartError, match="HARMONIC_SERVE_MAX_BACH"):
        read_settings()


def test_a_kubernetes_service_of_our_name_changes_nothing(monkeypatch):
    """Names and values as the documentation of Kubernetes has them, for harmonic-serve and harmonic-serve-predictor."""
    told = {
        "PORT": "tcp://10.0.0.7:8000",
        "ADMIN_PORT": "tcp://10.0.0.9:9090",  # of a Service called harmonic-serve-admin
        "SERVICE_HOST": "10.0.0.7",
        "SERVICE_PORT": "8000",
        "SERVICE_PORT_HTTP": "8000",
        "PORT_8000_TCP": "tcp://10.0.0.7:8000",
        "PORT_8000_TCP_PROTO": "tcp",
        "PORT_8000_TCP_PORT": "8000",
        "PORT_8000_TCP_ADDR": "10.0.0.7",
        "PREDICTOR_SERVICE_HOST": "10.0.0.8",
        "PREDICTOR_PORT": "tcp://10.0.0.8:80",
        "PREDICTOR_PORT_80_TCP_ADDR": "10.0.0.8",
        "PREDICTOR_DEFAULT_SERVICE_PORT_HTTP_METRICS": "80",
    }
    for name, value in told.items():
        monkeypatch.setenv(f"HARMONIC_SERVE_{name}", value)
    monkeypatch.setenv("HARMONIC_SERVE_MAX_BATCH", "16")
    settings = read_settings()
    assert (settings.port, settings.admin_port, settings.max_batch) == (8000, None, 16)
    assert injected_here() == sorted(f"HARMONIC_SERVE_{name}" for name in told)


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "tcp"), ("PORTS", "tcp://10.0.0.7:8000"), ("SERVICES_HOST", "x"), ("PORT_TCP", "x")]
)
def test_what_only_resembles_such_a_variable_stops_the_start(monkeypatch, name, value):
    monkeypatch.setenv(f"HARMONIC_SERVE_{name}", value)
    with pytest.raises(StartError, match=f"HARMONIC_SERVE_{name}"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "70000"),
        ("device", "gpu"),
        ("max_batch", "0"),
        ("window_ms", "-1"),
        ("policies", "{"),
        ("policies", '{"a": {"b": 1}}'),
    ],
)
def test_a_wrong_value_is_named(monkeypatch, name, value):
    monkeypatch.setenv(f"HARMONIC_SERVE_{name.upper()}", value)
    with pytest.raises(StartError, match=name):
        read_settings()


def test_a_queue_smaller_than_a_batch_is_refused():
    with pytest.raises(StartError, match="max_queue"):
        read_settings({"max_batch": 64, "max_queue": 32})


def test_a_model_may_have_a_policy_of_its_own(monkeypatch):
    monkeypatch.setenv("HARMONIC_SERVE_POLICIES", '{"cifar10": {"max_size": 8}}')
    settings = read_settings({"window_ms": 2})
    assert plan(settings, "cifar10").policy == BatchPolicy(max_size=8, window_ms=2)
    assert plan(settings, "other").policy == BatchPolicy(window_ms=2)


def test_settings_are_frozen():
    with pytest.raises(ValidationError):
        read_settings().port = 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])
def test_explicit_control_on_a_network_wants_a_key_for_it(host):
    asked = {"model_control": "explicit", "host": host}
    with pytest.raises(StartError, match="harmonic key"):
        read_settings(asked)
    with pytest.raises(StartError, match="harmonic key"):
        read_settings(asked | {"keys": (make("caller", ["inference"])[1],)})
    assert read_settings(asked | {"keys": (make("operator", ["control"])[1],)}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_explicit_control_on_the_machine_itself_does_not(host):
    assert read_settings({"model_control": "explicit", "host": host}).model_control == "explicit"


def test_tls_wants_a_certificate_and_its_key():
    with pytest.raises(StartError, match="tls_key"):
        read_settings({"tls_cert": "cert.pem"})


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"host": "::1", "port": 9000}, "http://[::1]:9000"),
        ({"tls_cert": "cert.pem", "tls_key": "key.pem"}, "https://127.0.0.1:8000"),
    ],
)
def test_the_address_of_a_service_follows_from_its_settings(given, url):
    assert read_settings(given).url() == url


def test_the_address_may_be_told_for_another_host_and_the_port_that_was_free():
    assert read_settings({"host": "0.0.0.0", "port": 0}).url("::1", 1234) == "http://[::1]:1234"


def test_policies_that_contradict_the_settings_stop_the_start(monkeypatch):
    monkeypatch.setenv("HARMONIC_SERVE_POLICIES", '{"cifar10": {"max_size": 512}}')
    with pytest.raises(StartError, match="512"):
        read_settings()
