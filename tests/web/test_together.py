"""Licenses together in words and in a drawing."""

from app.licenses import merge
from app.licenses.models import LicenseEnvironment
from app.web import together
from tests.licenses.test_merge import day, part


def said(*parts: merge.Part, who: str = "you") -> list[str]:
    timeline = merge.merge(parts, LicenseEnvironment.PRODUCTION)
    return [together.sentence(each, "Europe/Berlin", who=who) for each in merge.changes(timeline) if each.at > day(0)]


def test_each_change_is_said_in_a_sentence() -> None:
    pack = part("pack", 20, (0, 59), tier="enterprise", flags={"saml": True, "mfa": True}, limits={"storage": 9})
    base = part("base", 80, (0, 100), limits={"storage": 5})
    lapsed, over = said(base, pack)
    assert lapsed == (
        "On 1 March 2026 you drop to 80 seats. Plan level: professional instead of enterprise. "
        "Storage: 5 instead of 9. No longer included: mfa, saml."
    )
    assert over == "On 11 April 2026 the last license ends."
    assert said(base, part("late", 1, (50, 100)), who="the account")[0] == (
        "On 20 February 2026 the account rises to 81 seats."
    )
    swapped = said(part("a", 1, (0, 9), flags={"mfa": True}), part("b", 1, (9, 20), flags={"saml": True}))
    assert swapped[0] == "On 10 January 2026 the seats stay at 1 seat. No longer included: mfa. New: saml."
