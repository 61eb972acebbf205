"""The Open Inference Protocol in bytes and words: tensors, requests, answers, descriptions of models.

Knows no web framework.
"""

from service.protocol import description
from service.protocol.messages import InferenceRequest, Wanted, memory_of_json, read_request, write_response

__all__ = ["InferenceRequest", "Wanted", "description", "memory_of_json", "read_request", "write_response"]
