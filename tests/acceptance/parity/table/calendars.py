"""Routes that speak only at certain times. `always` covers this moment, `never` does not."""

from tests.acceptance.parity.scenario import Fire, Hears, Quiet, Resolve, Scenario, alert

A, B = alert("A", team="x"), alert("B", team="y")
TEAM = {"matchers": ['team="x"'], "receiver": "two"}

SCENARIOS = [
    Scenario(
        "a muted route is quiet, its neighbour is not",
        [Fire([A, B]), Hears([B]), Resolve([A, B]), Hears(resolved=[B]), Quiet(2)],
        {"routes": [{**TEAM, "mute_time_intervals": ["always"]}]},
    ),
    Scenario(
        "a route that is muted at other times speaks",
        [Fire([A]), Hears([A], receiver="two")],
        {"routes": [{**TEAM, "mute_time_intervals": ["never"]}]},
    ),
    Scenario(
        "one muting interval of several is enough",
        [Fire([A]), Quiet(3)],
        {"routes": [{**TEAM, "mute_time_intervals": ["never", "always"]}]},
    ),
    Scenario(
        "an active route speaks",
        [Fire([A]), Hears([A], receiver="two")],
        {"routes": [{**TEAM, "active_time_intervals": ["always"]}]},
    ),
    Scenario(
        "a route that is active at other times is quiet",
        [Fire([A]), Quiet(3)],
        {"routes": [{**TEAM, "active_time_intervals": ["never"]}]},
    ),
    Scenario(
        "one active interval of several is enough",
        [Fire([A]), Hears([A], receiver="two")],
        {"routes": [{**TEAM, "active_time_intervals": ["never", "always"]}]},
    ),
    Scenario(
        "muted and active at once: quiet",
        [Fire([A]), Quiet(3)],
        {"routes": [{**TEAM, "active_time_intervals": ["always"], "mute_time_intervals": ["always"]}]},
    ),
    Scenario(
        "a child does not have its parent's intervals",
        [Fire([A]), Hears([A], receiver="two")],
        {"mute_time_intervals": ["always"], "routes": [TEAM]},
    ),
]
