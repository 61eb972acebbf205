"""The inference microservice: HTTP in, batches onto ONNX Runtime, labels out. It never imports torch (but for
`native.py`)."""
