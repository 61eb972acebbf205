"""python litserve_server.py VERSION_FOLDER PORT"""

import sys

import litserve
from classifier import MAX_BATCH, Classifier


class Peer(litserve.LitAPI):
    def setup(self, device):
        self.classifier = Classifier(sys.argv[1])

    def decode_request(self, request):
        return self.classifier.decode(request["image"].file.read())

    def batch(self, inputs):
        return list(inputs)

    def predict(self, x):
        return self.classifier.run(x)

    def unbatch(self, output):
        return output

    def encode_response(self, output):
        return output


if __name__ == "__main__":
    api = Peer(max_batch_size=MAX_BATCH, batch_timeout=0.0, api_path="/classify")
    litserve.LitServer(api, accelerator="cpu").run(
        host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", generate_client_file=False
    )
