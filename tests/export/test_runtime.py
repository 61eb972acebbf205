"""Products of bytes are summed exactly, whatever the processor."""

import numpy as np
from onnx import numpy_helper, parser

from export.runtime import ort, session_options

_TERMS = 64
_GRAPH = f"""<ir_version: 9, opset_import: ["" : 18]>
net (uint8[1, {_TERMS}] bytes) => (int32[1, 8] sums) {{ sums = MatMulInteger (bytes, weights) }}"""


def test_sums_of_the_largest_products_do_not_saturate() -> None:
    model = parser.parse_model(_GRAPH)
    weights = np.full((_TERMS, 8), 127, dtype=np.int8)
    model.graph.initializer.append(numpy_helper.from_array(weights, "weights"))
    session = ort.InferenceSession(model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"])
    (sums,) = session.run(None, {"bytes": np.full((1, _TERMS), 255, dtype=np.uint8)})
    assert (sums == _TERMS * 255 * 127).all()
