"""From a trained bundle to a served version: fold, emit ONNX, verify, publish. Importing this package loads nothing."""
