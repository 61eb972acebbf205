"""Addresses as people write them."""

import pytest

from service.load.plan import Address, LoadError, read_address


@pytest.mark.parametrize(
    ("url", "address", "origin"),
    [
        ("http://a:8000", Address("a", 8000, False, ""), "http://a:8000"),
        ("http://a/", Address("a", 80, False, ""), "http://a:80"),
        ("a:9000/v1/classify?top_k=1", Address("a", 9000, False, "/v1/classify?top_k=1"), "http://a:9000"),
        ("https://[::1]/v2", Address("::1", 443, True, "/v2"), "https://[::1]:443"),
    ],
)
def test_an_address_is_read(url: str, address: Address, origin: str):
    assert read_address(url) == address
    assert address.origin == origin


@pytest.mark.parametrize("url", ["ftp://a", "http://", "http://a:x", "http://a:99999", ""])
def test_what_is_no_address_is_refused(url: str):
    with pytest.raises(LoadError):
        read_address(url)
