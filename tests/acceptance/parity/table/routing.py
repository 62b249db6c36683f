"""Who is told."""

from tests.acceptance.parity.scenario import Differs, Fire, Hears, Quiet, Resolve, Scenario, alert

A, B, C = alert("A", team="x"), alert("B", team="y"), alert("C")
A1, A2 = alert("A", team="x", zone="1"), alert("A", team="x", zone="2")


def to(receiver: str, *matchers: str, **fields: object) -> dict[str, object]:
    return {"receiver": receiver, "matchers": list(matchers), **fields}


SCENARIOS = [
    Scenario(
        "the first route that fits wins",
        [Fire([A]), Hears([A], receiver="two"), Resolve([A]), Hears(resolved=[A], receiver="two")],
        {"routes": [to("two", 'team="x"'), to("three", 'alertname="A"')]},
    ),
    Scenario(
        "what fits no route stays with the parent",
        [Fire([A, C]), Hears([A], receiver="two"), Hears([C])],
        {"routes": [to("two", 'team="x"')]},
    ),
    Scenario(
        "continue goes on to the next route that fits",
        [
            Fire([A]),
            Hears([A], receiver="two"),
            Hears([A], receiver="four"),
            Resolve([A]),
            Hears(resolved=[A], receiver="two"),
            Hears(resolved=[A], receiver="four"),
        ],
        {
            "routes": [
                to("two", 'team="x"', **{"continue": True}),
                to("three", 'team="y"'),
                to("four", 'alertname="A"'),
                to("three", 'team=~".+"'),
            ]
        },
    ),
    Scenario(
        "after continue the parent is not told",
        [Fire([A]), Hears([A], receiver="two"), Quiet(2)],
        {"routes": [to("two", 'team="x"', **{"continue": True})]},
    ),
    Scenario(
        "two routes with one receiver tell it twice",
        [Fire([A]), Hears([A], receiver="two"), Hears([A], receiver="two")],
        {"routes": [to("two", 'team="x"', **{"continue": True}), to("two", 'alertname="A"')]},
    ),
    Scenario(
        "two receivers of one alert have groups of their own",
        [
            Fire([A, A2]),
            Hears([A, A2], receiver="two"),
            Hears([A], receiver="three"),
            Hears([A2], receiver="three"),
            Resolve([A2]),
            Hears([A], [A2], receiver="two"),
            Hears(resolved=[A2], receiver="three"),
        ],
        {
            "routes": [
                to("two", 'team="x"', **{"continue": True}),
                to("three", 'alertname="A"', group_by=["alertname", "zone"]),
            ]
        },
    ),
    Scenario(
        "two routes with the same matchers",
        [
            Fire([A]),
            Hears([A], receiver="two"),
            Differs(
                "AlertAgent numbers such routes, so that their groups have keys of their own",
                alertmanager=[Hears([A], receiver="three")],
                alertagent=[Hears([A], receiver="three")],
            ),
        ],
        {"routes": [to("two", 'team="x"', **{"continue": True}), to("three", 'team="x"')]},
    ),
    Scenario(
        "a child has from its parent what it does not say itself",
        [
            Fire([A, A1, A2]),
            Hears([A, A1], receiver="two"),
            Hears([A2], receiver="three"),
        ],
        {
            "receiver": "two",
            "group_by": ["team"],
            "routes": [
                {
                    "matchers": ['team="x"'],
                    "group_wait": "1s",
                    "routes": [
                        {"matchers": ['zone="2"'], "receiver": "three"},
                        {"matchers": ['alertname="A"']},
                    ],
                }
            ],
        },
    ),
    Scenario(
        "a child has its parent's times",
        [Fire([A]), Quiet(2), Hears([A], receiver="two"), Fire([A2]), Quiet(2), Hears([A, A2], receiver="two")],
        {"group_wait": "4s", "group_interval": "5s", "routes": [to("two", 'team="x"')]},
    ),
    Scenario(
        "a child has times of its own",
        [Fire([A], began=1), Hears([A], receiver="two"), Fire([A2]), Hears([A, A2], receiver="two")],
        {
            "group_wait": "1h",
            "group_interval": "1h",
            "routes": [to("two", 'team="x"', group_wait="500ms", group_interval="2s")],
        },
    ),
    Scenario(
        "equal",
        [Fire([A, B, C]), Hears([A], receiver="two"), Hears([B]), Hears([C])],
        {"routes": [to("two", 'team="x"')]},
    ),
    Scenario(
        "equal to nothing: the label is missing",
        [Fire([A, B, C]), Hears([C], receiver="two"), Hears([A]), Hears([B])],
        {"routes": [to("two", 'team=""')]},
    ),
    Scenario(
        "not equal fits what has no such label",
        [Fire([A, B, C]), Hears([B], receiver="two"), Hears([C], receiver="two"), Hears([A])],
        {"routes": [to("two", 'team!="x"')]},
    ),
    Scenario(
        "not equal to nothing: there is such a label",
        [Fire([A, B, C]), Hears([A], receiver="two"), Hears([B], receiver="two"), Hears([C])],
        {"routes": [to("two", 'team!=""')]},
    ),
    Scenario(
        "a regular expression fits the whole value",
        [
            Fire([A, B, xy := alert("D", team="xy")]),
            Hears([A], receiver="two"),
            Hears([xy], receiver="three"),
            Hears([B]),
        ],
        {"routes": [to("two", 'team=~"x|z"'), to("three", 'team=~"x."')]},
    ),
    Scenario(
        "a regular expression that fits nothing fits a missing label",
        [Fire([A, C]), Hears([A], receiver="two"), Hears([C], receiver="two")],
        {"routes": [to("two", 'team=~"x|"')]},
    ),
    Scenario(
        "a regular expression that must not fit",
        [Fire([A, B, C]), Hears([B], receiver="two"), Hears([C], receiver="two"), Hears([A])],
        {"routes": [to("two", 'team!~"x|z"')]},
    ),
    Scenario(
        "several matchers must all fit",
        [Fire([A, A2, B]), Hears([A2], receiver="two"), Hears([A]), Hears([B])],
        {"routes": [to("two", 'team="x"', 'zone!=""')]},
    ),
    Scenario(
        "matchers in the old spelling",
        [
            Fire([A, B, C]),
            Hears([A], receiver="two"),
            Differs(
                "in AlertAgent's group keys a pattern stands as it was written",
                alertmanager=[Hears([B], receiver="three")],
                alertagent=[Hears([B], receiver="three")],
            ),
            Hears([C]),
        ],
        {
            "routes": [
                {"receiver": "two", "match": {"team": "x"}},
                {"receiver": "three", "match_re": {"team": "[yz]"}},
            ]
        },
    ),
]
