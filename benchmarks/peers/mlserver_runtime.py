"""The runtime that model-settings.json names: `mlserver start FOLDER`."""

import json
import os

from classifier import Classifier
from mlserver import MLModel
from mlserver.codecs import Base64Codec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Peer(MLModel):
    async def load(self) -> bool:
        self.classifier = Classifier(os.environ["VERSION_FOLDER"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        images = [self.classifier.decode(body) for body in Base64Codec.decode_input(payload.inputs[0])]
        answers = [json.dumps(answer) for answer in self.classifier.run(images)]
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("answer", answers)])
