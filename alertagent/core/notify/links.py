"""Where AlertAgent's page shows things: the addresses that messages carry and that the page keeps. Pure.

    /alerts/<fingerprint>               one alert
    /alerts?filter=<matcher>&…          all alerts that fit
    /alerts/<fingerprint>/analysis      what an analyzer found
    /silences/new?matchers=<matcher>&…  the form for a silence, filled in
    /silences/new?alert=<fingerprint>   the same with the labels of that alert, where they are too long for an address

Matchers are written as everywhere and percent-encoded whole, so that no label can add anything to an address.
"""

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from alertagent.kernel.labels import Labels
from alertagent.kernel.matchers import Operator, written
from alertagent.kernel.message import MessageAlert, PageLinks
from alertagent.plugins.addresses import parse_url

# What is longer would take the room of the message, and some providers refuse it.
MAX_LENGTH = 500


def page_links(page: str, alerts: Sequence[MessageAlert], common: Labels) -> PageLinks:
    """For a message about these alerts; none at all where `page` is no address that people can open.

    A silence is for what still fires, and for several alerts only if they have a name in common: by anything less a
    tired reader would silence more than he meant.
    """
    root = page.rstrip("/")
    if not _is_usable(root):
        return PageLinks()
    one = alerts[0].fingerprint
    is_firing = any(alert.status == "firing" for alert in alerts)
    if len(alerts) == 1:
        silence = _short(_filled(f"{root}/silences/new", "matchers", common)) or f"{root}/silences/new?alert={one}"
        found = PageLinks(alert=f"{root}/alerts/{one}", silence=silence, analysis=f"{root}/alerts/{one}/analysis")
    else:
        shown = _short(_filled(f"{root}/alerts", "filter", common)) or f"{root}/alerts"
        silence = _filled(f"{root}/silences/new", "matchers", common) if common.get("alertname") else ""
        found = PageLinks(alert=shown, silence=silence, analysis=f"{root}/alerts/{one}/analysis")
    return PageLinks(
        alert=_short(found.alert),
        silence=_short(found.silence) if is_firing else "",
        analysis=_short(found.analysis),
    )


@lru_cache(maxsize=8)
def _is_usable(root: str) -> bool:
    try:
        parsed = parse_url(root)
    except ValueError:
        return False
    return not parsed.query_string and not parsed.fragment and parsed.user is None


def _filled(address: str, parameter: str, labels: Labels) -> str:
    matchers = (written(name, Operator.EQUAL, value) for name, value in sorted(labels.items()))
    query = "&".join(f"{parameter}={quote(matcher, safe='', errors='replace')}" for matcher in matchers)
    return f"{address}?{query}" if query else address


def _short(address: str) -> str:
    return address if len(address) <= MAX_LENGTH else ""
