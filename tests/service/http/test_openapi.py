"""The document of the routes."""

from tests.support.app import got


async def test_the_document_describes_bodies_and_answers(repository):
    document = (await got(repository, "/openapi.json")).json()
    operation = document["paths"]["/v1/models/{name}/classify"]["post"]
    assert set(operation["requestBody"]["content"]) >= {"image/*", "multipart/form-data", "application/json"}
    assert {"name", "timeout_ms", "top_k"} == {parameter["name"] for parameter in operation["parameters"]}
    assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Classification")
    assert operation["responses"]["429"]["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorBody")
    assert (await got(repository, "/docs")).status_code == 200
