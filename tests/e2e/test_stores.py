"""`harmonic serve --repository s3://... --workers 2` against a real S3 server: served, followed, and outlived."""

import httpx
import pytest

from export.stores import open_store, read_address
from tests.support.colours import publish_colours
from tests.support.process import PATIENCE_S, serving
from tests.support.s3 import BUCKET, s3_server
from tests.support.stores import uploaded
from tests.support.waiting import metrics_with


@pytest.mark.slow
def test_two_workers_serve_a_bucket_follow_it_and_outlive_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HARMONIC_CACHE", str(tmp_path / "cache"))
    version = publish_colours(tmp_path / "made")
    flags = ("--workers", "2", "--model-control", "poll", "--poll-seconds", "0.3")
    with s3_server(monkeypatch.setenv) as server:
        store = open_store(read_address(f"s3://{BUCKET}/models"))
        uploaded(store, version)
        with serving(store, *flags, device="cpu") as (url, _):
            uploaded(store, version)
            metrics_with(url, 'harmonic_model_ready{model="colours",provider="CPUExecutionProvider",version="2"} 1.0')
            server.vanish()
            try:
                metrics_with(url, "harmonic_store_up 0.0")
                assert httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code == 200
            finally:
                server.come_back()
