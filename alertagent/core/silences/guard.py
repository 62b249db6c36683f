"""Against the silence that mutes everything by mistake. Pure."""

from collections.abc import Sequence

from alertagent.kernel.errors import Detail, Invalid
from alertagent.kernel.labels import Labels
from alertagent.kernel.matchers import Matcher

# That a silence fits all of fewer alerts than these may well be what is wanted.
MANY = 10

_UNHEARD_OF = ("QxjUnheard", "ZvkUnthought")
_USUAL = ("severity", "job", "instance")


def fits_any(matchers: Sequence[Matcher]) -> bool:
    """Whether alerts fit that nobody can have thought of, with the usual labels or with a name alone."""
    bare = [{"alertname": word} for word in _UNHEARD_OF]
    usual = [{**labels, **dict.fromkeys(_USUAL, labels["alertname"])} for labels in bare]
    return _fit(matchers, bare) or _fit(matchers, usual)


def refusal(muted: int, firing: int, *, any_alert: bool) -> Invalid:
    """`muted` of `firing` alerts would be silenced."""
    reason = "would mute whatever fires, under whatever name" if any_alert else "would mute every alert"
    message = (
        f"these matchers {reason}: {muted} of the {firing} alerts that fire now. Name what is to be quiet "
        'more closely, or say "mute_all": true'
    )
    return Invalid(message, code="silence.mutes_everything", details=[Detail(("matchers",), message)])


def _fit(matchers: Sequence[Matcher], alerts: Sequence[Labels]) -> bool:
    return all(matcher.matches(labels) for matcher in matchers for labels in alerts)
