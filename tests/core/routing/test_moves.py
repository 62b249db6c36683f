"""Which alerts would be told to others."""

import pytest

from alertagent.core.routing.document import read_yaml
from alertagent.core.routing.model import DEFAULT_TABLE
from alertagent.core.routing.moves import MOST_ALERTS, hearers, reach
from alertagent.core.routing.table import table_of
from tests.core.routing.samples import SHOP, below

SHOP_TABLE = table_of(read_yaml(SHOP.encode()).document, 1)


@pytest.mark.parametrize(
    ("labels", "channels"),
    [
        ({}, ("everybody",)),
        ({"severity": "page", "team": "db"}, ("dba", "pager", "值班群")),
        ({"severity": "page", "service": "foo-1"}, ("everybody", "pager")),
    ],
)
def test_all_channels_of_all_routes_hear_of_an_alert(labels: dict[str, str], channels: tuple[str, ...]) -> None:
    assert hearers(SHOP_TABLE, labels, ("all",)) == channels


def test_without_a_document_the_default_channels_hear() -> None:
    assert hearers(DEFAULT_TABLE, {"a": "b"}, ("all", "also")) == ("all", "also")


def test_of_a_large_tree_fewer_alerts_are_walked_through() -> None:
    routes = "".join(f"- match: {{team: t{number}}}\n" for number in range(4000))
    large = table_of(read_yaml(below(f"routes:\n{routes}").encode()).document, 1)

    assert reach(SHOP_TABLE, DEFAULT_TABLE) == MOST_ALERTS
    assert 0 < reach(SHOP_TABLE, large) < MOST_ALERTS / 10
