"""When a group is told, and when it is told again."""

from tests.acceptance.parity.scenario import Fire, Hears, Quiet, Resolve, Scenario, alert

A, B, C = alert("A", zone="1"), alert("A", zone="2"), alert("A", zone="3")

SCENARIOS = [
    Scenario(
        "group_wait collects what comes one by one",
        [Fire([A]), Fire([B]), Fire([C]), Hears([A, B, C])],
        {"group_wait": "3s"},
    ),
    Scenario(
        "a group that waits is not told early",
        [Fire([A]), Quiet(2), Hears([A])],
        {"group_wait": "4s"},
    ),
    Scenario(
        "an alert that has been firing for longer than group_wait is told at once",
        [Fire([A], began=60), Hears([A])],
        {"group_wait": "30s"},
    ),
    Scenario(
        "an old alert takes those along that wait",
        [Fire([A]), Quiet(1), Fire([B], began=60), Hears([A, B])],
        {"group_wait": "30s"},
    ),
    Scenario(
        "without group_wait an alert is told at once",
        [Fire([A]), Hears([A])],
        {"group_wait": "0s"},
    ),
    Scenario(
        "group_interval collects later joiners, and they are told with the whole group",
        [Fire([A]), Hears([A]), Fire([B]), Fire([C]), Hears([A, B, C])],
        {"group_interval": "4s"},
    ),
    Scenario(
        "an old alert does not hurry a group that was told already",
        [Fire([A]), Hears([A]), Fire([B], began=60), Quiet(2), Hears([A, B])],
        {"group_interval": "6s"},
    ),
    Scenario(
        "nothing is repeated before it is time",
        [Fire([A]), Hears([A]), Quiet(5)],
    ),
    Scenario(
        "the sender's repetitions are not told",
        [Fire([A]), Hears([A]), Fire([A]), Quiet(2), Fire([A]), Quiet(2)],
    ),
    Scenario(
        "two senders of the same alert make one",
        [
            Fire([A], generator="http://one.example/"),
            Fire([A], generator="http://two.example/"),
            Hears([A]),
            Fire([A], generator="http://one.example/"),
            Fire([A], generator="http://two.example/"),
            Quiet(2),
            Resolve([A]),
            Hears(resolved=[A]),
        ],
        {"group_wait": "1s"},
    ),
    Scenario(
        "what goes on is repeated",
        [Fire([A, B]), Hears([A, B]), Hears([A, B]), Hears([A, B]), Resolve([A, B]), Hears(resolved=[A, B])],
        {"repeat_interval": "3s"},
    ),
    Scenario(
        "a repetition has the annotations of the day",
        [
            Fire([A], {"summary": "rising"}),
            Hears([A], annotations={"summary": "rising"}),
            Fire([A], {"summary": "falling"}),
            Hears([A], annotations={"summary": "falling"}),
            Resolve([A]),
            Hears(resolved=[A]),
        ],
        {"repeat_interval": "4s"},
    ),
    Scenario(
        "changed annotations alone are not told",
        [Fire([A], {"summary": "rising"}), Hears([A]), Fire([A], {"summary": "falling"}), Quiet(3)],
    ),
    Scenario(
        "a change is told and counts as a repetition",
        [
            Fire([A]),
            Hears([A]),
            Quiet(3),
            Fire([B]),
            Hears([A, B]),
            Quiet(6),
            Hears([A, B]),
            Resolve([A, B]),
            Hears(resolved=[A, B]),
        ],
        {"repeat_interval": "9s"},
    ),
    Scenario(
        "a repetition is without what ended",
        [
            Fire([A, B]),
            Hears([A, B]),
            Resolve([A]),
            Hears([B], [A]),
            Hears([B]),
            Resolve([B]),
            Hears(resolved=[B]),
        ],
        {"repeat_interval": "4s"},
    ),
]
