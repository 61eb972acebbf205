"""VERSION_FOLDER=... python mosec_server.py --port PORT: mosec's Rust front, decoding and inference in one worker."""

import json
import os

from classifier import MAX_BATCH, Classifier
from mosec import Server, Worker


class Peer(Worker):
    def __init__(self) -> None:
        super().__init__()
        self.classifier = Classifier(os.environ["VERSION_FOLDER"])

    def deserialize(self, data: bytes):
        return self.classifier.decode(data)

    def serialize(self, data: dict) -> bytes:
        return json.dumps(data).encode()

    def forward(self, data: list) -> list[dict]:
        return self.classifier.run(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Peer, num=1, max_batch_size=MAX_BATCH, max_wait_time=1)
    server.run()
