"""The Python model of Triton: images as files in, answers as JSON out; decoding in two threads, one model call."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

sys.path[:0] = os.environ["PEER_PATHS"].split(":")
import numpy as np  # noqa: E402
import triton_python_backend_utils as pb  # noqa: E402
from classifier import Classifier  # noqa: E402


class TritonPythonModel:
    def initialize(self, args):
        self.classifier = Classifier(os.environ["VERSION_FOLDER"])
        self.pool = ThreadPoolExecutor(2)

    def execute(self, requests):
        files = [pb.get_input_tensor_by_name(each, "image").as_numpy().ravel() for each in requests]
        images = list(self.pool.map(self.classifier.decode, [file for some in files for file in some]))
        answers = iter(self.classifier.run(images))
        return [
            pb.InferenceResponse([pb.Tensor("answer", np.array([[json.dumps(next(answers))] for _ in some], object))])
            for some in files
        ]
