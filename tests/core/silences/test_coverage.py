"""The silences that fit an alert: the same as trying each of them on it."""

from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.silences.coverage import ActiveSilences, Coverage
from alertagent.core.silences.model import Silence, SilenceMatcher
from alertagent.kernel.labels import Labels
from tests.core.silences.samples import NOON, at, daily_at, silence

NAMES = st.sampled_from(["alertname", "cluster", "team"])
VALUES = st.sampled_from(["a", "b", "ab", "", "c"])
OPERATORS = st.sampled_from(["=", "!=", "=~", "!~"])
PLAIN = ["a", "b", "a|b", "^(?:a|ab)$", "(a)|(b)", "a.*", ".*b", "a.*b", ".*a.*", ".*", ".+", "", "a|"]
OTHERS = [".+[ab]", "ab?", "a+b", "a{1,2}", "(?i)A", "(a|)b?"]
PATTERNS = st.sampled_from(PLAIN + OTHERS)
TEXTS = st.one_of(
    st.builds('{}{}"{}"'.format, NAMES, st.sampled_from(["=", "!="]), VALUES),
    st.builds('{}{}"{}"'.format, NAMES, st.sampled_from(["=~", "!~"]), PATTERNS),
)
LABELS = st.dictionaries(NAMES, VALUES, max_size=3)
STARTS = st.integers(min_value=-90, max_value=30)


@st.composite
def silences(draw: st.DrawFn) -> list[Silence]:
    drafts = draw(st.lists(st.tuples(st.lists(TEXTS, min_size=1, max_size=3), STARTS), max_size=12))
    return [
        silence(*texts, id=f"{number:02}", starts_at=at(start), ends_at=at(start + 60))
        for number, (texts, start) in enumerate(drafts)
    ]


def fits(silence: Silence, labels: Labels) -> bool:
    return all(matcher.matches(labels) for matcher in silence.matchers)


@given(all=silences(), alerts=st.lists(LABELS, max_size=8))
def test_it_finds_what_a_loop_over_all_finds(all: list[Silence], alerts: list[dict[str, str]]) -> None:
    active = ActiveSilences(Coverage(all), NOON)

    for labels in alerts:
        naive = [each for each in all if each.starts_at <= NOON < each.ends_at and fits(each, labels)]
        assert active.muting(labels) == tuple(naive)


def test_a_silence_is_found_by_what_the_fewest_others_demand() -> None:
    asked = []

    class Counted(SilenceMatcher):
        """Notes when somebody asks it about an alert."""

        def matches(self, labels: Labels) -> bool:
            asked.append(str(self))
            return super().matches(labels)

    def shared(number: int, instance: str) -> Silence:
        counted = tuple(map(Counted.parse, ('severity="warning"', instance)))
        return silence(id=f"{number:04}", matchers=counted)

    values = [shared(number, f'instance=~"db-{number}|web-{number}"') for number in range(1000)]
    prefixes = [shared(number, f'instance=~"cache-{number}-.*"') for number in range(1000, 2000)]
    inners = [shared(number, f'instance=~".*-{number}:.+"') for number in range(2000, 3000)]
    coverage = Coverage([*values, *prefixes, *inners])
    asked.clear()

    names = ("web-7", "cache-1007-a", "mq-2007:1", "x")
    found = [coverage.fitting({"severity": "warning", "instance": name}) for name in names]

    assert [[each.id for each in some] for some in found] == [["0007"], ["1007"], ["2007"], []]
    assert len(asked) == 5


def test_one_that_recurs_rests_between_its_windows() -> None:
    always, nightly = silence(id="1", ends_at=at(600)), silence(id="2", ends_at=at(600), recurrence=daily_at(14))
    coverage = Coverage([always, nightly])
    noon, two = ActiveSilences(coverage, NOON), ActiveSilences(coverage, at(120))

    assert (noon.resting(), two.resting()) == ([nightly], [])
    assert noon.muting({"alertname": "DiskFull"}) == (always,)
    assert two.muting({"alertname": "DiskFull"}) == (always, nightly)
