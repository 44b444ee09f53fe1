"""What a frozen note says in another language.

Notes are stored as sentences: those of a tax determination in English, those an invoice was given in the language its
buyer bought in. A document is read in the language it is drawn in, so what we know how to say is said again in that;
an operator's own words stay as they are.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from app.core.i18n import Translator, languages, translate


def _(message: str) -> str:
    """Marks a sentence for translators."""
    return message


# Sentences with something in them. Those without are looked up as they are, rows of `data/tax/world.yaml` among them.
_FILLED: Final = (
    _("Customer VAT number %(number)s."),
    _("Supplier VAT number %(number)s."),
    _("Customer number %(number)s."),
    _("Exempt: %(kind)s certificate %(number)s."),
    _("Exempt: %(kind)s certificate."),
    _("It replaces invoice %(number)s, which was credited in full."),
    _("The agreement “%(title)s” applies."),
)
_WHOLE: Final = (
    _("Reverse charge, Art. 196 Directive 2006/112/EC."),
    _("No GST/HST or QST charged: the recipient is registered and accounts for the tax where liable."),
    _("Art. 44, 196 Directive 2006/112/EC"),
    _("Reverse charge"),
    _("Not subject to VAT"),
    _("Exempt"),
)
_KINDS: Final = {
    "resale": _("resale"),
    "government": _("government"),
    "nonprofit": _("nonprofit"),
    "education": _("education"),
    "direct_pay": _("direct pay"),
    "other": _("other"),
    "exemption": _("exemption"),
}
_LONGEST: Final = 4_000  # no note of ours is longer; what is, is somebody's own text


def in_words(note: str, target: Translator) -> str:
    """The note in the language of `target`, sentence by sentence; what is not known is kept as it was written."""
    if len(note) > _LONGEST:
        return note
    return " ".join(_sentences(note, target))


def _sentences(rest: str, target: Translator) -> Iterator[str]:
    while rest:
        said, length = _known(rest, target) or _own(rest)
        yield said
        rest = rest[length:].lstrip(" ")


def _known(text: str, target: Translator) -> tuple[str, int] | None:
    """What the longest beginning that we know says, and how long it is."""
    for end in reversed([*(dot.end() for dot in re.finditer(r"\.(?= |$)", text)), *([len(text)] if text else [])]):
        said = target.gettext(text[:end])
        if said != text[:end]:
            return said, end
    for message, pattern in _patterns():
        if found := pattern.match(text):
            return target(message, **_values(found.groupdict(), target)), found.end()
    return None


def _own(text: str) -> tuple[str, int]:
    """Up to the end of the first sentence, as it is."""
    dot = re.search(r"\.(?= |$)", text)
    end = dot.end() if dot else len(text)
    return text[:end], end


def _values(found: Mapping[str, str], target: Translator) -> dict[str, str]:
    return {name: target.gettext(_kinds().get(value, value)) if name == "kind" else value
            for name, value in found.items()}  # fmt: skip


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Each sentence that something is put into, as it is written in each language that we know."""
    return tuple(
        (message, _pattern(translate(language).gettext(message))) for language in languages() for message in _FILLED
    )


def _pattern(message: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", message)
    values = {"kind": r"[\w ]+?"}
    made = "".join(
        re.escape(part) if at % 2 == 0 else f"(?P<{part}>{values.get(part, '.+?')})" for at, part in enumerate(parts)
    )
    return re.compile(f"{made}(?= |$)", re.DOTALL)


@cache
def _kinds() -> dict[str, str]:
    """The English word for a kind of certificate, by that of each language and by our code."""
    words = {translate(language).gettext(word): word for language in languages() for word in _KINDS.values()}
    return words | _KINDS
