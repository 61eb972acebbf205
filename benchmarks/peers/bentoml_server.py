"""VERSION_FOLDER=... bentoml serve bentoml_server:Peer --port PORT"""

import os
from pathlib import Path

import bentoml
from classifier import MAX_BATCH, Classifier


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Peer:
    def __init__(self) -> None:
        self.classifier = Classifier(os.environ["VERSION_FOLDER"])

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, route="/classify")
    def classify(self, image: list[Path]) -> list[dict]:
        return self.classifier.run([self.classifier.decode(path.read_bytes()) for path in image])
