"""An event as a message in a Mattermost channel. Pure.

What a customer wrote is quoted and made harmless: no mention, link, image or table of theirs takes effect, and
nobody's name is in it unless the event carries one (policy `survey_names_in_events`).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from app.core.canonical import canonical_json

_LONGEST_COMMENT: Final = 400
_FACES: Final = {"promoter": ":large_green_circle:", "passive": ":large_yellow_circle:", "detractor": ":red_circle:"}
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>:$])")


def text_of(kind: str, object_id: str, data: Mapping[str, Any], *, base_url: str) -> str:
    """The `text` of an incoming webhook, in Mattermost's Markdown."""
    if kind in {"survey.answered", "survey.updated"}:
        return _survey(kind, object_id, data, base_url)
    return f"**{plain(kind)}** `{object_id}`"


def payload(kind: str, object_id: str, data: Mapping[str, Any], *, base_url: str) -> bytes:
    """The body of the post: JSON with a `text`."""
    return canonical_json({"text": text_of(kind, object_id, data, base_url=base_url)})


def plain(text: str) -> str:
    """On one line, with every sign that Markdown or a mention would act on made visible instead."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split())).replace("@", "@\u200b")


def _survey(kind: str, object_id: str, data: Mapping[str, Any], base_url: str) -> str:
    verb = "changed to" if kind == "survey.updated" else "answered with"
    test = "**TEST** " if data.get("test") else ""
    segment = data.get("segment") or {}
    about = [f"{plain(str(name))}: {plain(str(value))}" for name, value in sorted(segment.items())]
    lines = [
        f"{test}{_FACES.get(str(data.get('band')), '')} Survey after a {plain(str(data.get('kind')))} "
        f"{verb} **{int(data['score'])}**" + (f" ({', '.join(about)})" if about else "")
    ]
    comment = str(data.get("comment") or "")
    if comment:
        lines.append(f"> {plain(_shortened(comment))}")
    if person := data.get("person"):
        who = [str(person.get("name") or ""), str(person.get("email") or ""), str(data.get("company") or "")]
        lines.append(plain(", ".join(filter(None, who))))
    lines.append(f"[Open in the console]({base_url}/console/survey?invitation={object_id})")
    return "\n".join(lines)


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST_COMMENT:
        return text
    cut = text[: _LONGEST_COMMENT - 1]
    word = cut.rpartition(" ")[0]
    return (word if len(word) > _LONGEST_COMMENT // 2 else cut).rstrip() + "…"
