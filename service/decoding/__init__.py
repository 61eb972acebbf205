"""Images are decoded here: encoded images become a ticket's rows, under limits, in threads of their own.

Knows Pillow and tickets; no HTTP, no ONNX.
"""

from service.decoding.allocator import trim
from service.decoding.loan import Loan
from service.decoding.pillow import quiet_pillow
from service.decoding.pool import Pool
from service.decoding.preparation import Preparation
from service.decoding.quick import Quick

__all__ = ["Loan", "Pool", "Preparation", "Quick", "quiet_pillow", "trim"]
