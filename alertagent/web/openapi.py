"""The OpenAPI 3.1 document, made from the declared routes and their models."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from alertagent.web.errors import STATUS
from alertagent.web.routes import Route

_REFERENCE = "#/components/schemas/{model}"

_ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error", "timestamp", "path", "request_id"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "code", "message", "details"],
            "properties": {
                "type": {"enum": sorted(STATUS)},
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["loc", "message"],
                        "properties": {
                            "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                            "message": {"type": "string"},
                            "line": {"type": "integer"},
                            "column": {"type": "integer"},
                        },
                    },
                },
            },
        },
        "timestamp": {"type": "integer"},
        "path": {"type": "string"},
        "request_id": {"type": "string"},
    },
}

_PAGE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["next_cursor", "total"],
    "properties": {
        "next_cursor": {"type": ["string", "null"]},
        "total": {"type": ["integer", "null"]},
    },
}


def document(routes: Sequence[Route], *, version: str) -> dict[str, Any]:
    """Describe these routes."""
    schemas = _Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "AlertAgent", "version": version},
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR_SCHEMA, "Page": _PAGE_SCHEMA, **schemas.definitions},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic", "description": "Any user; the password is a token."},
            },
        },
    }


class _Schemas:
    """The JSON Schemas of every model that a route takes or gives, named once."""

    def __init__(self, routes: Sequence[Route]) -> None:
        wanted: dict[tuple[Any, JsonSchemaMode], TypeAdapter[Any]] = {}
        for route in routes:
            if route.body is not None and route.body is not bytes:
                wanted[route.body, "validation"] = TypeAdapter(route.body)
            for answer in (route.answer, route.other_answer):
                if answer is not None:
                    wanted[answer, "serialization"] = TypeAdapter(answer)
        inputs = [(key, key[1], adapter.core_schema) for key, adapter in wanted.items()]
        generator = GenerateJsonSchema(ref_template=_REFERENCE)
        self._found, self.definitions = generator.generate_definitions(inputs)
        for route in routes:
            if route.query is not None:
                parts = route.query.model_json_schema(ref_template=_REFERENCE).get("$defs", {})
                self.definitions = {**parts, **self.definitions}

    def of(self, model: Any, mode: JsonSchemaMode) -> Any:
        return self._found[(model, mode), mode]


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.tag}_{route.handler.__name__}",
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [*_path_parameters(route), *_query_parameters(route.query)],
        "responses": {**_successes(route, schemas), **_failures(route)},
    }
    if not route.access.public:
        operation["security"] = [{"token": []}, {"password": []}] if route.foreign else [{"token": []}]
        operation["x-role"] = route.access.role
        operation["x-scope"] = route.access.scope
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _body(route, schemas)}
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)", route.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(model: type[BaseModel] | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema(ref_template=_REFERENCE)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": part}
        for name, part in schema["properties"].items()
    ]


def _body(route: Route, schemas: _Schemas) -> dict[str, Any]:
    if route.body is bytes:
        return {media: {"schema": {"type": "string"}} for media in route.reads or ("application/json",)}
    return {"application/json": {"schema": schemas.of(route.body, "validation")}}


def _successes(route: Route, schemas: _Schemas) -> dict[str, Any]:
    answers = {str(route.status): [route.answer] if route.answer is not None else []}
    if route.other_answer is not None:
        answers.setdefault("200", []).append(route.other_answer)
    shape = {status: [schemas.of(answer, "serialization") for answer in found] for status, found in answers.items()}
    return {status: _success(route, found) for status, found in shape.items()}


def _success(route: Route, answers: Sequence[Any]) -> dict[str, Any]:
    if not answers:
        return {"description": "Done."}
    schema = answers[0] if len(answers) == 1 else {"anyOf": answers}
    properties: dict[str, Any] = {"data": schema}
    required = ["data"]
    if route.answer_shape is not None and route.answer_shape.__name__ == "Page":
        properties = {"data": {"type": "array", "items": schema}, "page": {"$ref": "#/components/schemas/Page"}}
        required = ["data", "page"]
    content = {"type": "object", "required": required, "properties": properties}
    return {"description": "Done.", "content": {"application/json": {"schema": content}}}


def _failures(route: Route) -> dict[str, Any]:
    refusal = {"400": _failure({"type": "string"})} if route.foreign else {}
    return {**refusal, "default": _failure({"$ref": "#/components/schemas/Error"})}


def _failure(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": "Why not.", "content": {"application/json": {"schema": schema}}}
