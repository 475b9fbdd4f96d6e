"""The facts that decided about a technician, in its language."""

from collections.abc import Mapping
from typing import Any

from api.pages.languages import Language
from dispatch.catalogue import Service

REASONS: Mapping[str, str] = {
    "skill_missing": "work.fact.skill_missing",
    "level_too_low": "work.fact.level_too_low",
    "skill_expired": "work.fact.skill_expired",
    "excluded": "work.fact.excluded",
    "suspended": "work.fact.suspended",
    "outside_radius": "work.fact.outside_radius",
    "no_shift": "work.fact.no_shift",
    "no_time": "work.fact.no_time",
    "window": "work.fact.window",
    "visit_cap": "work.fact.visit_cap",
    "travel_cap": "work.fact.travel_cap",
    "overlap": "work.fact.overlap",
    "notice": "work.fact.notice",
    "capacity": "work.fact.capacity",
    "plan": "work.fact.plan",
}
"""By code, what stood in the way or decided; each holds without its figures."""
_METRES, _SECONDS = frozenset({"outside_radius", "travel_cap"}), frozenset({"window"})


def fact_words(language: Language, fact: Mapping[str, Any], service: Service | None) -> str:
    """In a sentence; a fact of another kind as it was written down."""
    t, number, length = language.say, language.number, language.told_length
    match fact:
        case {"code": "qualified"} if service is not None:
            return t("work.why.qualified", skills=needs(language, service))
        case {"code": "near", "travel_m": int(metres), "travel_s": int(seconds)}:
            return t("work.why.near", distance=language.told_distance(metres), length=length(seconds))
        case {"code": "detour", "detour_s": int(seconds)}:
            return t("work.why.detour", length=length(seconds))
        case {"code": "rank", "rank": int(rank), "of": int(able)}:
            return t("work.why.rank", rank=number(rank), able=number(able))
        case {"code": str(code)} if code in REASONS:
            return t(REASONS[code]) + _by(language, code, fact.get("by"))
    return str(fact.get("detail", ""))


def _by(language: Language, code: str, by: object) -> str:
    if not isinstance(by, int):
        return ""
    if code in _METRES:
        return f" ({language.told_distance(by)})"
    return f" ({language.told_length(by)})" if code in _SECONDS else ""


def needs(language: Language, service: Service) -> str:
    """The skills that it needs, with their levels."""
    named = (
        language.say("work.level", skill=skill.replace("_", " "), level=language.number(level))
        for skill, level in sorted(service.required_skills.items())
    )
    return ", ".join(named) or language.say("work.needs_nothing")
