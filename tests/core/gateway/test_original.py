"""The routing in force, as Alertmanager would write it."""

from alertagent.core.gateway.original import names_of, written
from alertagent.core.routing.document import RoutingDocument, read_yaml
from alertagent.core.routing.table import default_values
from alertagent.core.routing.text import values_of

DOCUMENT = """\
route:
  receiver: ops
  routes:
  - {receiver: databases, matchers: [team="db"]}
  - {receiver: ops, matchers: [team="web"]}
  - matchers: [team="shop"]
    routes: [{receiver: shop}]
inhibit_rules:
- name: one outage, one page
  source_matchers: [severity="critical"]
  target_matchers: [severity="warning"]
  equal: [alertname]
mute_time_intervals:
- name: nights
  time_intervals: [{times: [{start_time: '20:00', end_time: '24:00'}]}]
receivers:
- {name: databases, channels: [dba, on-call], send_resolved: false}
- {name: nobody, channels: []}
"""


def read(text: str) -> RoutingDocument:
    return read_yaml(text.encode()).document


def test_receivers_are_those_listed_and_then_the_channels_that_routes_name() -> None:
    assert names_of(read(DOCUMENT)) == ["databases", "nobody", "ops", "shop"]


def test_a_document_is_written_with_names_where_it_had_channels() -> None:
    document = read(DOCUMENT)

    assert (
        written(values_of(document), names_of(document))
        == """\
route:
  receiver: ops
  routes:
  - receiver: databases
    matchers:
    - team="db"
  - receiver: ops
    matchers:
    - team="web"
  - matchers:
    - team="shop"
    routes:
    - receiver: shop
inhibit_rules:
- source_matchers:
  - severity="critical"
  target_matchers:
  - severity="warning"
  equal:
  - alertname
receivers:
- name: databases
- name: nobody
- name: ops
- name: shop
time_intervals:
- name: nights
  time_intervals:
  - times:
    - start_time: '20:00'
      end_time: '24:00'
"""
    )


def test_until_a_document_is_stored_the_default_one_is_written() -> None:
    assert (
        written(default_values(["ops"]), ["default", "ops"])
        == """\
route:
  receiver: default
  group_by:
  - alertname
  group_wait: 10s
  group_interval: 1m
  repeat_interval: 4h
receivers:
- name: default
- name: ops
"""
    )
