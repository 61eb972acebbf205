"""The words that other packages' errors become, and that saying them loads nothing."""

import subprocess
import sys
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from harmonic.errors import first_line, sentence, sentences


class _Inner(BaseModel):
    count: Annotated[int, Field(gt=0)]


class _Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inner: list[_Inner]

    @model_validator(mode="after")
    def _together(self) -> "_Outer":
        if len(self.inner) > 2:
            raise ValueError("too many of them")
        return self


def refusal(given: object) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        _Outer.model_validate(given)
    return caught.value


def test_a_problem_is_its_place_and_what_is_wrong_there():
    said = sentence(refusal({"inner": [{"count": 1}, {"count": 0}]}))
    assert said == "inner.1.count: Input should be greater than 0"


def test_a_problem_of_the_whole_has_the_name_that_it_is_given_or_none():
    whole = refusal({"inner": [{"count": 1}] * 3})
    assert sentence(whole, "the file") == "the file: Value error, too many of them"
    assert sentence(whole) == "Value error, too many of them"


def test_the_first_problem_or_every_one():
    several = refusal({"inner": [{"count": 0}], "more": 1})
    assert sentences(several) == [
        "inner.0.count: Input should be greater than 0",
        "more: Extra inputs are not permitted",
    ]
    assert sentence(several) == sentences(several)[0]


def test_a_place_that_a_caller_made_long_is_cut_and_a_value_is_never_repeated():
    said = sentence(refusal({"inner": [], "x" * 1000: "hk_secret"}))
    assert said == f"{'x' * 200}: Extra inputs are not permitted"
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(int).validate_python("hk_secret")
    assert "hk_secret" not in sentence(caught.value)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("\n  one \ntwo"), "one"),
        (KeyError("name"), "'name'"),
        (RuntimeError(""), "RuntimeError"),
        (RuntimeError(" \n "), "RuntimeError"),
    ],
)
def test_an_errors_first_line_or_its_kind(error, line):
    assert first_line(error) == line


def test_the_errors_load_no_library():
    code = "import sys, harmonic.errors; print({'pydantic', 'torch', 'numpy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
