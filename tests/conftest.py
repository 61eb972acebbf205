"""What holds for every test."""

from tests.support.shapes import check_shapes

check_shapes()
