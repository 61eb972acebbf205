"""python triton_server.py VERSION_FOLDER PORT: Triton's own server and batcher, with a Python model (PyTriton)."""

import json
import sys

import numpy as np
from classifier import MAX_BATCH, Classifier
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

classifier = Classifier(sys.argv[1])


@batch
def classify(image):
    answers = classifier.run([classifier.decode(body) for body in image[:, 0]])
    return {"answer": np.array([[json.dumps(answer).encode()] for answer in answers], dtype=object)}


if __name__ == "__main__":
    port = int(sys.argv[2])
    config = TritonConfig(http_address="127.0.0.1", http_port=port, grpc_port=port + 1, metrics_port=port + 2)
    with Triton(config=config) as triton:
        triton.bind(
            model_name="peer",
            infer_func=classify,
            inputs=[Tensor(name="image", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="answer", dtype=bytes, shape=(1,))],
            config=ModelConfig(max_batch_size=MAX_BATCH, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
        )
        triton.serve()
