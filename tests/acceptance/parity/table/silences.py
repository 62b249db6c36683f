"""Alerts that somebody does not want to hear of for a while."""

from tests.acceptance.parity.scenario import Differs, EndSilence, Fire, Hears, Quiet, Resolve, Scenario, Silence, alert

A, B, C = alert("A", zone="1"), alert("A", zone="2"), alert("A", zone="3")
FIRST = ['zone="1"']
ALL = ['alertname="A"']

SCENARIOS = [
    Scenario(
        "silenced before it fires, told when the silence is taken back",
        [Silence(FIRST), Fire([A]), Quiet(3), EndSilence(), Hears([A])],
    ),
    Scenario(
        "silenced before it fires, told when the silence runs out",
        [Silence(FIRST, lasts=6), Fire([A]), Quiet(2), Hears([A])],
    ),
    Scenario(
        "silenced before it fires and over before the silence is: never told",
        [Silence(FIRST), Fire([A]), Quiet(2), Resolve([A]), Quiet(2), EndSilence(), Quiet(3)],
    ),
    Scenario(
        "silenced before it fires and over as soon as the silence is: never told",
        [Silence(FIRST), Fire([A]), Quiet(2), EndSilence(), Resolve([A]), Quiet(3)],
        {"group_interval": "5s"},
    ),
    Scenario(
        "silenced before it fires and over as soon as the silence is: named beside what goes on",
        [Silence(FIRST), Fire([A, B]), Hears([B]), EndSilence(), Resolve([A]), Hears([B], [A])],
        {"group_interval": "4s"},
    ),
    Scenario(
        "silenced after it was told: nothing follows from the end of the silence",
        [Fire([A]), Hears([A]), Silence(FIRST), Quiet(2), EndSilence(), Quiet(3)],
    ),
    Scenario(
        "silenced while it is repeated: the repetition comes when the silence has run out",
        [Fire([A]), Hears([A]), Silence(FIRST, lasts=9), Quiet(6), Hears([A]), Resolve([A]), Hears(resolved=[A])],
        {"repeat_interval": "4s"},
    ),
    Scenario(
        "silenced while it is repeated: taken back early",
        [
            Fire([A]),
            Hears([A]),
            Silence(FIRST),
            Quiet(2),
            EndSilence(),
            Quiet(2),
            Hears([A]),
            Resolve([A]),
            Hears(resolved=[A]),
        ],
        {"repeat_interval": "9s"},
    ),
    Scenario(
        "an end during a silence is not told, nor afterwards",
        [Fire([A]), Hears([A]), Silence(FIRST), Resolve([A]), Quiet(3), EndSilence(), Quiet(3)],
    ),
    Scenario(
        "what ended during a silence and comes back afterwards",
        [
            Fire([A]),
            Hears([A]),
            Silence(FIRST),
            Resolve([A]),
            Quiet(3),
            EndSilence(),
            Fire([A]),
            Differs(
                "to AlertAgent it is a new episode; Alertmanager takes it for the one that it told of",
                alertmanager=[Quiet(4)],
                alertagent=[Hears([A])],
            ),
            Resolve([A]),
            Hears(resolved=[A]),
        ],
    ),
    Scenario(
        "a silenced alert is not named in its group's message",
        [Silence(FIRST), Fire([A, B]), Hears([B]), Resolve([B]), Hears(resolved=[B])],
    ),
    Scenario(
        "of two that were told, one is silenced, and the other ends",
        [
            Fire([A, B]),
            Hears([A, B]),
            Silence(FIRST),
            Resolve([B]),
            Hears(resolved=[B]),
            Quiet(2),
            EndSilence(),
            Hears([A]),
        ],
    ),
    Scenario(
        "a silence that comes and goes between two looks changes nothing",
        [Fire([A]), Hears([A]), Silence(FIRST), Resolve([A]), EndSilence(), Hears(resolved=[A])],
        {"group_interval": "5s"},
    ),
    Scenario(
        "of two that are repeated, one is silenced",
        [
            Fire([A, B]),
            Hears([A, B]),
            Silence(FIRST),
            Hears([B]),
            EndSilence(),
            Hears([A, B]),
            Resolve([A, B]),
            Hears(resolved=[A, B]),
        ],
        {"repeat_interval": "5s"},
    ),
    Scenario(
        "two receivers, and the alert is silenced for both",
        [
            Fire([A]),
            Hears([A], receiver="two"),
            Hears([A], receiver="three"),
            Silence(FIRST),
            Resolve([A]),
            Quiet(3),
        ],
        {
            "routes": [
                {"matchers": ['alertname="A"'], "receiver": "two", "continue": True},
                {"matchers": ['zone="1"'], "receiver": "three"},
            ]
        },
    ),
    Scenario(
        "when a silence ends, the whole group is told",
        [Silence(FIRST), Fire([A, B]), Hears([B]), EndSilence(), Hears([A, B])],
    ),
    Scenario(
        "an alert joins a group in which another is silenced",
        [Fire([A, B]), Hears([A, B]), Silence(FIRST), Fire([C]), Hears([B, C]), EndSilence(), Hears([A, B, C])],
    ),
    Scenario(
        "an alert joins a group in which all others are silenced",
        [Fire([A]), Hears([A]), Silence(FIRST), Fire([B]), Hears([B]), EndSilence(), Hears([A, B])],
    ),
    Scenario(
        "a whole group is silenced",
        [Silence(ALL), Fire([A, B]), Quiet(2), Fire([C]), Quiet(2), EndSilence(), Hears([A, B, C])],
    ),
    Scenario(
        "all matchers of a silence must fit",
        [Silence(['zone="1"', 'alertname="B"']), Fire([A]), Hears([A])],
    ),
    Scenario(
        "a silence by regular expression fits the whole value",
        [Silence(['zone=~"1|3"']), Fire([A, B, C, ten := alert("A", zone="10")]), Hears([B, ten])],
    ),
    Scenario(
        "a silence for all that is not equal",
        [Silence(['zone!="1"']), Fire([A, B, alert("A")]), Hears([A])],
    ),
    Scenario(
        "a silence for what lacks a label",
        [Silence(['zone=""', 'alertname="A"']), Fire([A, alert("A")]), Hears([A])],
    ),
    Scenario(
        "a silenced source holds its target back all the same",
        [Silence(['alertname="Down"']), Fire([alert("Down")]), Quiet(2), Fire([alert("Slow")]), Quiet(3)],
        inhibit_rules=[{"source_matchers": ['alertname="Down"'], "target_matchers": ['alertname="Slow"'], "equal": []}],
    ),
]
