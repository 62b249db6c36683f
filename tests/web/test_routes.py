"""What a declaration and a signature say together."""

import pytest

from alertagent.web.access import Role, viewer
from alertagent.web.call import Call
from alertagent.web.replies import Page, Raw, Reply
from alertagent.web.routes import BODY_LIMIT, Route, get, routes_of
from alertagent.web.server import collect
from tests.web.small import Note, NoteQuery, Seen, SmallApi, Told


@pytest.fixture
def routes() -> dict[str, Route]:
    return {route.name: route for route in routes_of(SmallApi())}


def test_a_route_knows_what_its_handler_takes(routes: dict[str, Route]) -> None:
    add, listing, read = (
        routes[f"{name}"] for name in ("POST /api/v1/notes", "GET /api/v1/notes", "GET /api/v1/notes/{id}")
    )

    assert (add.body, add.query, add.path_parameters, add.status) == (Note, None, (), 201)
    assert (listing.body, listing.query) == (None, NoteQuery)
    assert (read.path_parameters, read.status, read.body_limit) == (("id",), 200, BODY_LIMIT)
    assert add.access.role is Role.EDITOR
    assert add.summary == "Add a note."


def test_a_route_knows_what_its_handler_answers(routes: dict[str, Route]) -> None:
    shapes = {name: (route.answer, route.answer_shape, route.status) for name, route in routes.items()}

    assert shapes["GET /api/v1/notes/{id}"] == (Seen, Reply, 200)
    assert shapes["GET /api/v1/notes"] == (Seen, Page, 200)
    assert shapes["POST /api/v1/secrets"] == (Seen, Reply, 201)
    assert shapes["DELETE /api/v1/notes/{id}"] == (None, None, 204)
    assert shapes["GET /open"] == (None, Raw, 200)


def test_a_route_may_have_a_second_answer(routes: dict[str, Route]) -> None:
    found = {name: (route.answer, route.answer_shape, route.other_answer) for name, route in routes.items()}

    assert found["POST /api/v1/trials"] == (Seen, Reply, Told)
    assert found["DELETE /api/v1/trials"] == (None, None, Told)
    assert found["POST /api/v1/notes"] == (Seen, Reply, None)


def test_only_what_is_marked_shows_a_secret(routes: dict[str, Route]) -> None:
    assert [name for name, route in routes.items() if route.secret] == ["POST /api/v1/secrets"]


def test_a_route_declared_twice_is_refused_by_name() -> None:
    class Again:
        @get("/notes", access=viewer("notes:read"))
        async def list(self, call: Call) -> Seen:
            """The same once more."""
            raise NotImplementedError

    with pytest.raises(ValueError, match=r"declared twice: GET /api/v1/notes$"):
        collect([SmallApi(), Again()])
