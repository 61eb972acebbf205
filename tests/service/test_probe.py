"""What a container's health check asks, and where."""

import httpx
import pytest
import trustme

from service.config import read_settings
from service.probe import address, ask, flags_of
from tests.support.process import free_port, run, serving


@pytest.mark.parametrize(
    ("command", "url"),
    [
        ("harmonic serve", "http://127.0.0.1:8000"),
        ("python /opt/harmonic/bin/harmonic serve --port 9000 --host 0.0.0.0", "http://127.0.0.1:9000"),
        ("docker-init -- harmonic serve --port=9000 --host ::", "http://[::1]:9000"),
        ("harmonic serve --tls-cert cert.pem --tls-key key.pem", "https://127.0.0.1:8000"),
        ("/sbin/init splash", "http://127.0.0.1:8000"),
    ],
)
def test_it_asks_where_the_service_listens(command, url):
    assert address(read_settings(flags_of(command.split()))) == url


def test_a_service_with_tls_is_asked_over_tls(repository, tmp_path):
    certificate = trustme.CA().issue_cert("example.org")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    flags = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    with serving(repository, *flags) as (url, process):
        ask(url)
        told = run("health", "--port", url.rpartition(":")[2], *flags)
        assert (told.returncode, told.stdout) == (0, f"{url} is ready\n")
        process.kill()
        process.wait()
        with pytest.raises(OSError, match="refused"):
            ask(url)


def test_the_command_asks_where_the_environment_says_and_its_own_flags_win(repository):
    with serving(repository) as (url, _):
        port, other = url.rpartition(":")[2], str(free_port())
        assert run("health", port=port).returncode == 0
        assert run("health", "--port", port, port=other).returncode == 0
        told = run("health", "--port", other, port=port)
    assert told.returncode == 1
    assert f"http://127.0.0.1:{other}: " in told.stderr
    assert "Traceback" not in told.stderr


def test_settings_that_are_wrong_are_status_2():
    told = run("health", prot="1")
    assert (told.returncode, told.stdout) == (2, "")
    assert "HARMONIC_SERVE_PROT" in told.stderr


def test_a_service_that_is_not_ready_is_not_healthy(tmp_path):
    (tmp_path / "models").mkdir()
    with serving(tmp_path / "models") as (url, _):
        assert httpx.get(f"{url}/livez").status_code == 200
        with pytest.raises(OSError, match="503"):
            ask(url)
        told = run("health", "--port", url.rpartition(":")[2])
        assert (told.returncode, told.stdout) == (1, "")
        assert "503" in told.stderr
