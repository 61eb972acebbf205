"""What is asked: addresses that are a service's, and requests that name what they mean."""

import numpy as np
import pytest

from harmonic.errors import PixelError
from service.client.errors import ClientError
from service.client.wording import Wording, check_rows


@pytest.mark.parametrize(
    "url", ["", "there", "ftp://there", "file:///etc", "http://", "http://there/?x=1", "http://there/#x"]
)
def test_what_is_no_services_address_is_refused(url):
    with pytest.raises(ClientError, match=r"give one like http://127\.0\.0\.1:8000"):
        Wording(url)


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(ClientError, match="give the key by itself") as refusal:
        Wording("http://me:hunter2@there")
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("model", "version", "path"),
    [
        (None, None, "/v1/classify"),
        ("pets", None, "/v1/models/pets/classify"),
        ("pets", 2, "/v1/models/pets/versions/2/classify"),
        ("../x?y", None, "/v1/models/..%2Fx%3Fy/classify"),
    ],
)
def test_a_request_names_what_it_asks(model, version, path):
    message = Wording("http://there/behind/").classify([b"image"], 3, model, version)(1.5)
    assert message.url == f"http://there/behind{path}?top_k=3&timeout_ms=1500"
    assert message.place == f"http://there/behind{path}"


def test_a_version_of_no_model_and_no_classes_at_all_are_refused():
    with pytest.raises(ClientError, match="of which model"):
        Wording("http://there").classify([b"image"], 5, None, 2)
    with pytest.raises(ClientError, match="top is 0"):
        Wording("http://there").classify([b"image"], 0, None, None)


@pytest.mark.parametrize(
    "rows", [np.zeros((8, 8, 3), np.uint8), np.zeros((0, 8, 8, 3), np.uint8), np.zeros((1, 8, 8, 3))]
)
def test_rows_that_no_model_takes_are_refused(rows):
    with pytest.raises(PixelError, match="is no input of a model"):
        check_rows(rows)
