"""The OpenAPI document tells the truth: requests that it describes get answers that it describes."""

from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance

from service.config import make
from tests.support.colours import publish_colours
from tests.support.process import PATIENCE_S, serving

load_all_checks()
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:schemathesis|jsonschema_rs|hypothesis_graphql")
UNTOLD = [positive_data_acceptance]  # no schema says which bytes are an image
OPERATIONS = 8  # at least so many are tried


SECRET, KEY = make("caller", ["inference"])


@pytest.fixture(scope="module", params=["open", "guarded", "with a key"])
def caller(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, dict[str, str]]]:
    """A service's address, and the headers to ask it with."""
    root = tmp_path_factory.mktemp("models")
    publish_colours(root)
    guard = {"keys": f"[{KEY.model_dump_json()}]"} if request.param != "open" else {}
    with serving(root, **guard) as (url, _):
        yield url, {"Authorization": f"Bearer {SECRET}"} if request.param == "with a key" else {}


def operations(schema: BaseSchema) -> Iterator[APIOperation]:
    for result in schema.get_all_operations():
        yield result.ok()


@pytest.mark.parametrize("examples", [8, pytest.param(200, marks=pytest.mark.slow)])
def test_every_operation_answers_as_the_document_says(caller, examples):
    url, headers = caller
    schema = schemathesis.openapi.from_dict(httpx.get(f"{url}/openapi.json", timeout=PATIENCE_S).json())
    schema.config.update(base_url=url)
    tried = [_try(operation, headers, examples) for operation in operations(schema)]
    assert len(tried) >= OPERATIONS
    assert httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code == 200


def _try(operation: APIOperation, headers: dict[str, str], examples: int) -> str:
    @seed(0)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def conforms(case: schemathesis.Case) -> None:
        answer = case.call(headers=headers, timeout=PATIENCE_S)
        # Who has no patience is told that it was not enough.
        asked_for = [not_a_server_error] if answer.status_code == 504 and "timeout_ms" in (case.query or {}) else []
        case.validate_response(answer, headers=headers, excluded_checks=[*UNTOLD, *asked_for])

    conforms()
    return operation.label
