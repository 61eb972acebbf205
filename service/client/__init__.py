"""A client for programs: `Client`, and `AsyncClient` for those with an event loop. They ask again where that helps.

    from service.client import Client

    with Client("http://127.0.0.1:8000") as client:
        print(client.classify("cat.jpg").label)

Brings neither the server nor ONNX Runtime: the extra `client` is all it needs.
"""

from service.client.asynchronous import AsyncClient
from service.client.blocking import Client
from service.client.errors import ClientError, OutOfPatience, Rejected, UnexpectedAnswerError, Unreachable
from service.client.pictures import Picture
from service.client.replies import Classified
from service.client.retries import Retries

__all__ = [
    "AsyncClient",
    "Classified",
    "Client",
    "ClientError",
    "OutOfPatience",
    "Picture",
    "Rejected",
    "Retries",
    "UnexpectedAnswerError",
    "Unreachable",
]
