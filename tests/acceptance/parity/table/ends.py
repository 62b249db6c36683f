"""How the end of an alert is told, and what an alert is when it comes back."""

from tests.acceptance.parity.document import NO_ENDS
from tests.acceptance.parity.scenario import Differs, Fire, Hears, Quiet, Resolve, Scenario, alert

A, B, C = alert("A", zone="1"), alert("A", zone="2"), alert("A", zone="3")

SCENARIOS = [
    Scenario(
        "one of two ends: the message has both",
        [Fire([A, B]), Hears([A, B]), Resolve([A]), Hears([B], [A])],
    ),
    Scenario(
        "an end is told once, and the next message is without it",
        [Fire([A, B]), Hears([A, B]), Resolve([A]), Hears([B], [A]), Fire([C]), Hears([B, C])],
    ),
    Scenario(
        "all end together",
        [Fire([A, B]), Hears([A, B]), Resolve([A, B]), Hears(resolved=[A, B])],
    ),
    Scenario(
        "all end one after the other",
        [Fire([A, B]), Hears([A, B]), Resolve([A]), Hears([B], [A]), Resolve([B]), Hears(resolved=[B])],
    ),
    Scenario(
        "one ends while another begins",
        [Fire([A]), Hears([A]), Resolve([A]), Fire([B]), Hears([B], [A])],
        {"group_interval": "3s"},
    ),
    Scenario(
        "what ends before group_wait is over is never told",
        [Fire([A]), Resolve([A]), Quiet(4)],
        {"group_wait": "2s"},
    ),
    Scenario(
        "what ends before group_wait is over is told along with what goes on",
        [Fire([A, B]), Resolve([A]), Hears([B], [A])],
        {"group_wait": "2s"},
    ),
    Scenario(
        "what begins and ends between two messages is told with the next change",
        [Fire([A]), Hears([A]), Fire([B]), Resolve([B]), Hears([A], [B])],
        {"group_interval": "3s"},
    ),
    Scenario(
        "an end that nobody saw begin is not told",
        [Fire([A]), Hears([A]), Resolve([A]), Hears(resolved=[A]), Fire([B]), Resolve([B]), Quiet(4)],
        {"group_interval": "3s"},
    ),
    Scenario(
        "what comes back after its end was told is told anew",
        [Fire([A]), Hears([A]), Resolve([A]), Hears(resolved=[A]), Fire([A]), Hears([A])],
    ),
    Scenario(
        "what comes back beside another that goes on",
        [Fire([A, B]), Hears([A, B]), Resolve([A]), Hears([B], [A]), Fire([A]), Hears([A, B])],
    ),
    Scenario(
        "what flaps within group_interval",
        [
            Fire([A]),
            Hears([A]),
            Resolve([A]),
            Fire([A]),
            Differs(
                "to AlertAgent it is a new episode, which somebody may have to look into",
                alertmanager=[Quiet(5)],
                alertagent=[Hears([A])],
            ),
            Resolve([A]),
            Hears(resolved=[A]),
        ],
        {"group_interval": "4s"},
    ),
    Scenario(
        "ends that nobody wants to hear of",
        [Fire([A, B]), Hears([A, B], receiver=NO_ENDS), Resolve([A]), Quiet(3), Resolve([B]), Quiet(3)],
        {"receiver": NO_ENDS},
    ),
    Scenario(
        "ends that nobody wants to hear of leave a message of what goes on alone",
        [
            Fire([A, B]),
            Hears([A, B], receiver=NO_ENDS),
            Resolve([A]),
            Fire([C]),
            Hears([B, C], receiver=NO_ENDS),
        ],
        {"receiver": NO_ENDS, "group_interval": "3s"},
    ),
    Scenario(
        "what comes back after an end that nobody wanted to hear of is told anew",
        [
            Fire([A]),
            Hears([A], receiver=NO_ENDS),
            Resolve([A]),
            Quiet(3),
            Fire([A]),
            Hears([A], receiver=NO_ENDS),
        ],
        {"receiver": NO_ENDS},
    ),
    Scenario(
        "an alert without any time begins now, and may end without a start",
        [Fire([A], began=None, ends_in=None), Hears([A]), Resolve([A]), Hears(resolved=[A])],
    ),
    Scenario(
        "an alert without an end counts as over after resolve_timeout",
        [Fire([A], ends_in=None), Hears([A]), Hears(resolved=[A])],
    ),
    Scenario(
        "a repetition puts off the end that resolve_timeout would bring",
        [
            Fire([A], ends_in=None),
            Hears([A]),
            Quiet(3),
            Fire([A], ends_in=None),
            Quiet(3),
            Fire([A], ends_in=None),
            Quiet(3),
            Hears(resolved=[A]),
        ],
    ),
    Scenario(
        "an end that lies ahead comes true by itself",
        [Fire([A], ends_in=4), Hears([A]), Quiet(2), Hears(resolved=[A])],
    ),
    Scenario(
        "a repetition puts off the end that was told before",
        [Fire([A], ends_in=4), Hears([A]), Fire([A]), Quiet(6), Resolve([A]), Hears(resolved=[A])],
    ),
    Scenario(
        "an earlier end does not overturn a later one, unless it has passed",
        [Fire([A], ends_in=60), Hears([A]), Fire([A], ends_in=2), Quiet(5), Resolve([A]), Hears(resolved=[A])],
    ),
    Scenario(
        "an end without a beginning is not told",
        [Fire([A], began=60, ends_in=-1), Quiet(3)],
    ),
]
