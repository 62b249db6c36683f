"""The walk of an alert down the tree of routes."""

import pytest

from alertagent.core.alertmanager.check import check
from alertagent.core.alertmanager.document import Document
from alertagent.core.alertmanager.simulate import destinations
from tests.core.alertmanager.samples import SHOP, SHOP_TEMPLATES


@pytest.fixture
def shop() -> Document:
    document = check(SHOP, SHOP_TEMPLATES).document
    assert document is not None
    return document


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({}, ["everybody"]),
        ({"severity": "page"}, ["pager"]),
        ({"severity": "page", "team": "db"}, ["pager", "databases"]),
        ({"team": "db", "env": "dev"}, ["databases"]),
        ({"team": "dbx"}, ["everybody"]),
        ({"service": "foo-1", "severity": "page"}, ["pager", "everybody"]),
    ],
)
def test_an_alert_goes_where_alertmanager_would_send_it(
    shop: Document, labels: dict[str, str], receivers: list[str]
) -> None:
    assert [found.receiver for found in destinations(shop, labels)] == receivers


def test_a_destination_says_where_it_stands_and_what_it_has_from_above(shop: Document) -> None:
    top, deep = (destinations(shop, labels)[0] for labels in ({}, {"team": "cache", "env": "dev"}))

    assert (top.loc, top.group_by) == (("route",), ("alertname", "cluster"))
    assert (deep.loc, deep.group_by) == (("route", "routes", 1, "routes", 0), None)
    assert (deep.mute_time_intervals, deep.active_time_intervals) == (("nights",), ())
