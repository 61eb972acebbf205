import hashlib
import tomllib

import pytest
from typer.testing import CliRunner

from harmonic.cli import build_app
from service.config.keys import Bucket, Key, Keyring, entry, make, read_keys
from service.config.reading import read_settings
from service.errors import StartError


def kept(name: str = "ci", secret: str = "s", **more: object) -> Key:
    return Key(name=name, sha256=hashlib.sha256(secret.encode()).hexdigest(), **more)


def test_a_new_key_is_random_and_only_its_hash_is_kept():
    (first, key), (second, _) = make("ci", ["inference"]), make("ci", ["inference"])
    assert first != second
    assert len(first) >= 43
    assert first not in entry(key)
    assert key.sha256 == hashlib.sha256(first.encode()).hexdigest()


def test_the_command_prints_the_key_apart_from_what_a_file_keeps(tmp_path):
    done = CliRunner().invoke(build_app(), ["key", "--name", "ci", "--scope", "inference", "--scope", "control"])
    assert done.exit_code == 0, done.output
    (tmp_path / "keys.toml").write_text(done.stdout)
    (key,) = read_keys(tmp_path / "keys.toml")
    secret = done.stderr.split()[-1]
    assert (key.name, key.scopes) == ("ci", ("inference", "control"))
    assert Keyring([key]).holder(secret.encode()).key == key
    assert secret not in done.stdout


@pytest.mark.parametrize("options", [["--name", "a b"], ["--name", "ci", "--scope", "everything"]])
def test_the_command_refuses_what_would_not_be_read_again(options):
    done = CliRunner().invoke(build_app(), ["key", *options])
    assert isinstance(done.exception, StartError)


def test_a_keyring_knows_its_keys_and_no_others():
    ring = Keyring([kept("one", "a"), kept("two", "b")])
    assert ring.holder(b"a").key.name == "one"
    assert ring.holder(b"b").key.name == "two"
    for other in (b"", b"c", b"ab", hashlib.sha256(b"a").hexdigest().encode()):
        assert ring.holder(other) is None


@pytest.mark.parametrize("keys", [[kept("one", "a"), kept("one", "b")], [kept("one", "a"), kept("two", "a")]])
def test_a_name_or_a_key_that_is_there_twice_stops_the_start(keys):
    with pytest.raises(StartError, match="same"):
        Keyring(keys)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "keys = []",
        "[[keys]]\nname = 'x'",
        "[[keys]]\nname='x'\nsha256='hk_secret'",
        "hk_secret",
        "[[keys]]\nx='hk_secret'",
    ],
)
def test_a_file_without_a_sound_key_stops_the_start_and_is_not_repeated(tmp_path, text):
    (tmp_path / "keys.toml").write_text(text)
    with pytest.raises(StartError, match=r"keys\.toml") as refusal:
        read_keys(tmp_path / "keys.toml")
    assert "hk_secret" not in str(refusal.value)


def test_a_file_that_is_not_there_stops_the_start(tmp_path):
    with pytest.raises(StartError, match="nowhere"):
        read_keys(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("value", ["[]", '[{"name": "x", "sha256": "hk_secret"}]', '[{"name": "hk_secret"'])
def test_a_variable_without_a_sound_key_stops_the_start_and_is_not_repeated(monkeypatch, value):
    monkeypatch.setenv("HARMONIC_SERVE_KEYS", value)
    with pytest.raises(StartError, match="keys") as refusal:
        read_settings()
    assert "hk_secret" not in str(refusal.value)


def test_keys_come_from_a_file_and_a_variable_together(tmp_path, monkeypatch):
    assert tomllib.loads(entry(kept()))["keys"][0]["name"] == "ci"
    (tmp_path / "keys.toml").write_text(entry(kept("filed", "a")) + entry(kept("other", "b")))
    monkeypatch.setenv("HARMONIC_SERVE_KEYS", f"[{kept('given', 'c').model_dump_json()}]")
    ring = read_settings({"keys_file": tmp_path / "keys.toml"}).keyring()
    assert [ring.holder(secret).key.name for secret in (b"a", b"b", b"c")] == ["filed", "other", "given"]


def test_a_bucket_lets_a_minutes_requests_through_at_once_and_the_next_when_its_share_has_passed():
    now = 100.0
    bucket = Bucket(60, clock=lambda: now)
    assert [bucket.take() for _ in range(60)] == [0.0] * 60
    assert bucket.take() == pytest.approx(1.0)
    now += 0.75
    assert bucket.take() == pytest.approx(0.25)
    now += 0.25
    assert bucket.take() == 0
    now += 3600
    assert [bucket.take() for _ in range(60)] == [0.0] * 60
    assert bucket.take() > 0
