"""The document that describes the API."""

import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from alertagent.app import Role, Service
from alertagent.web.openapi import document
from alertagent.web.server import collect
from tests.support.service import Api
from tests.web.small import SmallApi


@pytest.fixture
def small_document() -> Any:
    return document(collect([SmallApi()]), version="1.2.3")


async def test_the_document_of_the_whole_service_is_valid_and_public(api: Api) -> None:
    answer = await api.as_(None).get("//api/openapi.json")

    assert answer.json["openapi"].startswith("3.1")
    assert [str(error) for error in OpenAPIV31SpecValidator(answer.json).iter_errors()] == []


async def test_every_route_is_in_it_with_who_may_call_it(api: Api, service: Service) -> None:
    paths = (await api.get("//api/openapi.json")).json["paths"]

    for route in service.parts.routes(Role.ALL):
        operation = paths[route.path][route.method.lower()]
        assert operation["summary"], route.name
        assert "default" in operation["responses"], route.name
        if route.access.public:
            assert "security" not in operation, route.name
        else:
            known = ["token", "password"] if route.foreign else ["token"]
            assert [list(way) for way in operation["security"]] == [[name] for name in known], route.name
            assert ("400" in operation["responses"]) is route.foreign, route.name
            assert (operation["x-role"], operation["x-scope"]) == (route.access.role, route.access.scope), route.name
            assert operation["x-role"] or operation["x-scope"], route.name
        named = {part["name"] for part in operation["parameters"] if part["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", route.path)) == set(route.path_parameters), route.name


async def test_operations_have_names_of_their_own(api: Api) -> None:
    paths = (await api.get("//api/openapi.json")).json["paths"]
    names = [operation["operationId"] for methods in paths.values() for operation in methods.values()]

    assert len(set(names)) == len(names)


def test_bodies_parameters_and_answers_are_described(small_document: Any) -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(small_document).iter_errors()] == []
    add = small_document["paths"]["/api/v1/notes"]["post"]
    assert add["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Note"}
    assert set(add["responses"]) == {"201", "default"}
    answer = add["responses"]["201"]["content"]["application/json"]["schema"]
    assert answer["properties"]["data"] == {"$ref": "#/components/schemas/Seen"}
    listing = small_document["paths"]["/api/v1/notes"]["get"]
    assert [part["name"] for part in listing["parameters"]] == ["word", "words"]
    page = listing["responses"]["200"]["content"]["application/json"]["schema"]
    assert page["required"] == ["data", "page"]
    upload = small_document["paths"]["/api/v1/files"]["post"]
    assert set(upload["requestBody"]["content"]) == {"application/yaml"}
    assert "content" not in small_document["paths"]["/api/v1/notes/{id}"]["delete"]["responses"]["204"]


def test_errors_are_described_by_their_envelope(small_document: Any) -> None:
    failure = small_document["paths"]["/api/v1/notes"]["post"]["responses"]["default"]

    assert failure["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}
    assert small_document["info"]["version"] == "1.2.3"


def test_a_second_answer_is_described_beside_the_first(small_document: Any) -> None:
    trials = small_document["paths"]["/api/v1/trials"]

    shown = {
        status: answer["content"]["application/json"]["schema"]["properties"]["data"]["$ref"].rpartition("/")[2]
        for status, answer in trials["post"]["responses"].items()
        if status != "default"
    }
    assert shown == {"201": "Seen", "200": "Told"}
    assert set(trials["delete"]["responses"]) == {"204", "200", "default"}


def test_what_only_a_parameter_may_be_is_described_too(small_document: Any) -> None:
    parameters = small_document["paths"]["/api/v1/trials"]["post"]["parameters"]

    assert [part["name"] for part in parameters] == ["from", "kind"]
    assert small_document["components"]["schemas"]["Kind"]["enum"] == ["short", "long"]
