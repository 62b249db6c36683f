"""Routing documents: whole ones, and pieces that make one."""

from textwrap import indent

SHOP = """\
# Who hears of what in the shop.
route:
  receiver: everybody
  group_by: [alertname, cluster]
  group_wait: 0s
  group_interval: 2m
  repeat_interval: 1d
  routes:
  - matchers: ['severity="page"']
    receiver: pager
    continue: true
  - matchers:
    - team=~"db|cache"
    receiver: databases
    group_by: ['...']
    active_time_intervals: [office]
    routes:
    - match: {env: dev}
      mute_time_intervals: [nights]
  - match_re:
      service: (foo|bar)-.*
    receiver: everybody

inhibit_rules:
- source_matchers: ['severity="page"']
  target_matchers: ['severity="warning"']
  equal: [alertname, cluster]

time_intervals:
- name: office
  time_intervals:
  - times: [{start_time: 09:00, end_time: '17:00'}]
    weekdays: ['monday:friday']
    location: Europe/Berlin

mute_time_intervals:
- name: nights
  time_intervals:
  - times:
    - start_time: 20:00
      end_time: 24:00

receivers:
- name: databases
  channels: [dba, "值班群"]
  send_resolved: false
"""


def routed(piece: str) -> str:
    """A document of a root and this."""
    return f"route:\n  receiver: ops\n{piece}"


def below(piece: str) -> str:
    """A document whose root has this."""
    return routed(indent(piece, "  "))
