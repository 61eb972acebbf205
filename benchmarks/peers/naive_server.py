"""python naive_server.py VERSION_FOLDER PORT: FastAPI, a thread a request, and a model call for each image."""

import sys

import uvicorn
from classifier import Classifier
from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool

classifier = Classifier(sys.argv[1])
app = FastAPI()


def answer(body: bytes) -> dict:
    return classifier.run([classifier.decode(body)])[0]


@app.post("/classify")
async def classify(request: Request) -> dict:
    return await run_in_threadpool(answer, await request.body())


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
