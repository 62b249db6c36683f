"""How the end of an alert is told, and what an alert is when it comes back."""

from tests.acceptance.parity.document import NO_ENDS
from tests.acceptance.parity.scenario import Again, Differs, Fire, Hears, Quiet, Resolve, Scenario, alert

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
        {"group_interval": "4s"},
    ),
    Scenario(
        "what ends before group_wait is over is never told",
        [Fire([A]), Quiet(1), Resolve([A]), Quiet(5)],
        {"group_wait": "4s"},
    ),
    Scenario(
        "what ends before group_wait is over is told along with what goes on",
        [Fire([A, B]), Quiet(1), Resolve([A]), Hears([B], [A])],
        {"group_wait": "4s"},
    ),
    Scenario(
        "what begins and ends between two messages is told with the next change",
        [Fire([A]), Hears([A]), Fire([B]), Quiet(1), Resolve([B]), Hears([A], [B])],
        {"group_interval": "5s"},
    ),
    Scenario(
        "an end that nobody saw begin is not told",
        [Fire([A]), Hears([A]), Resolve([A]), Hears(resolved=[A]), Fire([B]), Quiet(1), Resolve([B]), Quiet(5)],
        {"group_wait": "4s", "group_interval": "4s"},
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
        "what flaps within group_interval beside what goes on",
        [
            Fire([A, B]),
            Hears([A, B]),
            Resolve([A]),
            Fire([A]),
            Differs(
                "to AlertAgent it is a new episode, which somebody may have to look into",
                alertmanager=[Quiet(5)],
                alertagent=[Hears([A, B])],
            ),
            Resolve([A]),
            Hears([B], [A]),
        ],
        {"group_interval": "4s"},
    ),
    Scenario(
        "what flaps within group_wait is told as it stands",
        [Fire([A]), Resolve([A]), Fire([A]), Hears([A])],
        {"group_wait": "3s"},
    ),
    Scenario(
        "a sender that repeats an end",
        [
            Fire([A, B]),
            Hears([A, B]),
            Resolve([A]),
            Hears([B], [A]),
            Again([A]),
            Fire([C]),
            Differs(
                "AlertAgent tells of an end once; Prometheus repeats it for a quarter of an hour",
                alertmanager=[Hears([B, C], [A])],
                alertagent=[Hears([B, C])],
            ),
        ],
        {"group_interval": "4s"},
    ),
    Scenario(
        "a sender that repeats an end long after others were told of",
        [
            Fire([A, B]),
            Hears([A, B]),
            Resolve([A]),
            Hears([B], [A]),
            Fire([C]),
            Hears([B, C]),
            Again([A]),
            Differs(
                "AlertAgent tells of an end once",
                alertmanager=[Hears([B, C], [A])],
                alertagent=[Quiet(3)],
            ),
        ],
    ),
    Scenario(
        "one of two senders has not noticed the end yet",
        [
            Fire([A]),
            Hears([A]),
            Resolve([A]),
            Hears(resolved=[A]),
            Again([A], firing=True),
            Differs(
                "AlertAgent does not let old news overturn newer",
                alertmanager=[Hears([A])],
                alertagent=[Quiet(3)],
            ),
        ],
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
        {"receiver": NO_ENDS, "group_interval": "4s"},
    ),
    Scenario(
        "ends that nobody wants to hear of leave a repetition of what goes on alone",
        [
            Fire([A, B]),
            Hears([A, B], receiver=NO_ENDS),
            Resolve([A]),
            Hears([B], receiver=NO_ENDS),
            Resolve([B]),
        ],
        {"receiver": NO_ENDS, "repeat_interval": "4s"},
    ),
    Scenario(
        "one ends that nobody wants to hear of, and another begins",
        [Fire([A]), Hears([A], receiver=NO_ENDS), Resolve([A]), Fire([B]), Hears([B], receiver=NO_ENDS)],
        {"receiver": NO_ENDS, "group_interval": "4s"},
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
        [Fire([A], ends_in=8), Hears([A]), Quiet(3), Hears(resolved=[A])],
    ),
    Scenario(
        "a repetition puts off the end that was told before",
        [Fire([A], ends_in=5), Hears([A]), Fire([A]), Quiet(6), Resolve([A]), Hears(resolved=[A])],
    ),
    Scenario(
        "an earlier end does not overturn a later one, unless it has passed",
        [Fire([A], ends_in=60), Hears([A]), Fire([A], ends_in=2), Quiet(5), Resolve([A]), Hears(resolved=[A])],
    ),
    Scenario(
        "an end without a beginning is not told",
        [Fire([A], began=60, ends_in=-1), Quiet(3)],
    ),
    Scenario(
        "an end without a beginning is not told beside what goes on",
        [
            Fire([A]),
            Hears([A]),
            Fire([B], began=60, ends_in=-1),
            Differs(
                "nobody heard of it, and AlertAgent did not see it last",
                alertmanager=[Hears([A], [B])],
                alertagent=[Quiet(3)],
            ),
        ],
    ),
    Scenario(
        "what fell silent comes back with its old start",
        [
            Fire([A], ends_in=4),
            Hears([A]),
            Hears(resolved=[A]),
            Fire([A], began=20),
            Differs(
                "to AlertAgent an episode begins when the one before it is over",
                alertmanager=[Hears([A])],
                alertagent=[Hears([A])],
            ),
        ],
    ),
    Scenario(
        "the same alert twice in one post",
        [Fire([A, A]), Hears([A]), Resolve([A, A]), Hears(resolved=[A])],
    ),
]
