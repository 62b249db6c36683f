"""Routing documents: whole ones, and pieces that make one."""

from textwrap import indent

from tests.core.alertmanager.samples import SHOP_TREE

SHOP = (
    """\
# Who hears of what in the shop.
"""
    + SHOP_TREE
    + """
receivers:
- name: databases
  channels: [dba, "值班群"]
  send_resolved: false
"""
)


def routed(piece: str) -> str:
    """A document of a root and this."""
    return f"route:\n  receiver: ops\n{piece}"


def below(piece: str) -> str:
    """A document whose root has this."""
    return routed(indent(piece, "  "))
