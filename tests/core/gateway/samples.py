"""Routes to test with."""

from datetime import UTC, datetime

from alertagent.core.routing.document import read_yaml
from alertagent.core.routing.model import RoutingTable
from alertagent.core.routing.table import table_of

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)

ROUTES = """\
route:
  receiver: everyone
  group_by: [alertname]
  routes:
  - receiver: on-call
    matchers: [severity="critical"]
    group_by: ['...']
    continue: true
  - receiver: web
    matchers: [team="web"]
    mute_time_intervals: [lunch, nights]
  - receiver: shop
    matchers: [team="shop"]
    active_time_intervals: [nights]
time_intervals:
- name: lunch
  time_intervals: [{times: [{start_time: '11:30', end_time: '13:00'}]}]
- name: nights
  time_intervals: [{times: [{start_time: '20:00', end_time: '24:00'}]}]
"""


def table(document: str = ROUTES) -> RoutingTable:
    return table_of(read_yaml(document.encode()).document, 1)
