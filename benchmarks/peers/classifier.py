"""What every peer does with an image, so that only the servers differ: Pillow, ONNX Runtime, softmax, top five.

Runs in the peer's own environment, which has no package of this project.
"""

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # as in our own service; wanted before the import
import onnxruntime as ort

MAX_BATCH = 32


class Classifier:
    """The exported graph of a version's folder, with its classes and pixels as the manifest says."""

    def __init__(self, folder: str) -> None:
        manifest = json.loads((Path(folder) / "manifest.json").read_text())
        self.classes, pixels = manifest["classes"], manifest["pixels"]
        self.size, self.fraction = (pixels["width"], pixels["height"]), pixels["crop_fraction"]
        options = ort.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = ort.InferenceSession(
            str(Path(folder) / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def decode(self, body: bytes) -> np.ndarray:
        """An image file as the graph wants it, (H, W, 3)."""
        image = Image.open(io.BytesIO(body)).convert("RGB")
        if image.size != self.size:
            image = self._fitted(image)
        return np.asarray(image)

    def run(self, images: list[np.ndarray]) -> list[dict[str, Any]]:
        """One model call for all."""
        (logits,) = self.session.run(None, {"images": np.stack(images)})
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        return [self._answer(row / row.sum()) for row in exponents]

    def _answer(self, probabilities: np.ndarray) -> dict[str, Any]:
        best = np.argsort(-probabilities)[:5]
        return {"predictions": [{"label": self.classes[i], "probability": float(probabilities[i])} for i in best]}

    def _fitted(self, image: Image.Image) -> Image.Image:
        """Short side, then centre, rounded as torchvision does."""
        short, least = int(min(self.size) / self.fraction), min(image.size)
        width, height = (short if side == least else int(short * side / least) for side in image.size)
        left, top = round((width - self.size[0]) / 2), round((height - self.size[1]) / 2)
        resized = image.resize((width, height), Image.Resampling.BILINEAR)
        return resized.crop((left, top, left + self.size[0], top + self.size[1]))
