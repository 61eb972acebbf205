"""python ray_server.py VERSION_FOLDER PORT"""

import sys
import time

import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(max_ongoing_requests=256)
class Peer:
    def __init__(self, folder: str, modules: str) -> None:
        sys.path.insert(0, modules)
        from classifier import Classifier

        self.classifier = Classifier(folder)

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.0)
    async def run(self, images):
        return self.classifier.run(images)

    async def __call__(self, request: Request):
        return await self.run(self.classifier.decode(await request.body()))


if __name__ == "__main__":
    ray.init(include_dashboard=False, log_to_driver=False)
    address = {"host": "127.0.0.1", "port": int(sys.argv[2])}
    serve.start(http_options=address, logging_config={"enable_access_log": False})
    serve.run(Peer.bind(sys.argv[1], sys.path[0]), route_prefix="/classify")
    while True:
        time.sleep(3600)
