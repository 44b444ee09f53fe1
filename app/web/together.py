"""Licenses together as pages show them (R-LIC-3): the sum, the seats over the months to come, where each comes from."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Final

from app.core.clock import local_date
from app.core.db import Tx
from app.flows import merging as keeping
from app.licenses import merge, merging
from app.licenses.merge import Change, Part, Source, Timeline
from app.licenses.models import LicenseEnvironment, LicenseState, MergedLicense
from app.web import pages
from app.web.charts import on_scale

AHEAD: Final = timedelta(days=548)  # eighteen months
_ENGLISH: Final = pages.English()
_NARROW: Final = 0.06  # of the drawing's width: a step as narrow has no room for its figure
_NAMES: Final = {LicenseEnvironment.PRODUCTION: "Production", LicenseEnvironment.NON_PRODUCTION: "Tests and staging"}


@dataclass(frozen=True, kw_only=True)
class SeatStep:
    """A stretch of the plot in percent of it, and the seats that hold there; `label` is empty where it has no room."""

    x: str
    width: str
    y: str
    height: str
    label: str
    label_x: str
    label_y: str


@dataclass(frozen=True, kw_only=True)
class ComingChange:
    """What becomes different, in words; `x` is its place in the plot, empty beyond it."""

    sentence: str
    drop: bool
    x: str


@dataclass(frozen=True, kw_only=True)
class TogetherSource:
    """A license that counts, with what it brings."""

    name: str
    href: str
    plan: str
    server: str
    seats: int
    until: date
    note: str


@dataclass(frozen=True, kw_only=True)
class EnvironmentTogether:
    """The licenses of one environment as one. `switched_on` are the features, `limits` say themselves."""

    name: str
    slug: str
    seats: int
    tier: str
    switched_on: tuple[str, ...]
    limits: tuple[str, ...]
    sources: tuple[TogetherSource, ...]
    steps: tuple[SeatStep, ...]
    coming: tuple[ComingChange, ...]
    first: date
    last: date


@dataclass(frozen=True, kw_only=True)
class MergedFile:
    """One file for all licenses of a server."""

    server: str
    file_id: str
    seats: int
    sources: int
    until: date
    issued_at: datetime
    state: str
    download_href: str


@dataclass(frozen=True, kw_only=True)
class TogetherView:
    """The panel "Together"; without `environments` there is nothing to show yet."""

    environments: tuple[EnvironmentTogether, ...] = ()
    files: tuple[MergedFile, ...] = ()
    past_files: tuple[MergedFile, ...] = ()


def panel(
    tx: Tx, account_id: str, time_zone: str, now: datetime, *, license_href: str,
    file_href: Callable[[str], str] | None = None, who: str = "you",
) -> TogetherView:  # fmt: skip
    """The panel of an account. `license_href` is what stands before a license's id; without `file_href` files are
    named and not handed out. `who` rises and drops in the sentences.
    """
    parts = merging.parts_of(tx, account_id)
    renewing = keeping.renewing_chains(tx, {part.chain for part in parts})
    shown = []
    for environment in LicenseEnvironment:
        timeline = merge.merge(parts, environment)
        if merge.at(timeline, now).sources or any(change.at > now for change in merge.changes(timeline)):
            shown.append(_environment(environment, timeline, renewing, time_zone, now, license_href, who))
    files = [_file(each, time_zone, file_href) for each in merging.files_of(tx, account_id)]
    return TogetherView(
        environments=tuple(shown), files=tuple(each for each in files if each.state == LicenseState.ACTIVE),
        past_files=tuple(each for each in files if each.state != LicenseState.ACTIVE),
    )  # fmt: skip


def sentence(change: Change, time_zone: str, *, who: str = "you") -> str:
    """A change in words, such as: On 1 March 2027 you drop to 80 seats."""
    day = _ENGLISH.day(local_date(change.at, time_zone))
    drops, rises = (f"{who} drop", f"{who} rise") if who == "you" else (f"{who} drops", f"{who} rises")
    seats = _seats(change.seats_after)
    if change.seats_after < change.seats_before:
        said = f"On {day} {drops} to {seats}." if change.seats_after else f"On {day} the last license ends."
    elif change.seats_after > change.seats_before:
        said = f"On {day} {rises} to {seats}."
    else:
        said = f"On {day} the seats stay at {seats}."
    return " ".join([said, *_differences(change)]) if change.seats_after and change.seats_before else said


def _differences(change: Change) -> Iterator[str]:
    """What becomes different beside the seats: values first, then what goes and what comes."""
    others = [
        ("plan level" if each.name == merge.TIER else each.name.replace("_", " "), each)
        for each in change.differences
        if each.name != merge.SEATS
    ]
    for name, each in others:
        if each.before is not None and each.after is not None:
            yield f"{name.capitalize()}: {each.after} instead of {each.before}."
    for words, names in (
        ("No longer included", [name for name, each in others if each.after is None]),
        ("New", [name for name, each in others if each.before is None]),
    ):
        if names:
            yield f"{words}: {', '.join(names)}."


def _seats(count: int) -> str:
    return f"{_ENGLISH.number(count)} {'seat' if count == 1 else 'seats'}"


def _environment(
    environment: LicenseEnvironment, timeline: Timeline, renewing: Collection[str], time_zone: str, now: datetime,
    license_href: str, who: str,
) -> EnvironmentTogether:  # fmt: skip
    found, end = merge.at(timeline, now), now + AHEAD
    values = found.values
    adding = {share.part for each in found.entitlements[:1] for share in each.shares if share.counts}
    return EnvironmentTogether(
        name=_NAMES[environment], slug=environment.value, seats=found.seats, tier=str(values.get(merge.TIER, "")),
        switched_on=tuple(name.replace("_", " ") for name, value in values.items() if value is True),
        limits=tuple(
            f"{name.replace('_', ' ')}: {_ENGLISH.number(value)}" for name, value in values.items()
            if type(value) is int and name != merge.SEATS
        ),
        sources=tuple(
            _source(each, renewing, time_zone, license_href, adds=each.part.id in adding) for each in found.sources
        ),
        steps=_steps(timeline, now, end),
        coming=tuple(
            ComingChange(
                sentence=sentence(each, time_zone, who=who) + _unless(each.ended, renewing), drop=each.drop,
                x=_place(each.at, now, end) if each.at < end else "",
            )
            for each in merge.changes(timeline)
            if each.at > now
        ),
        first=local_date(now, time_zone), last=local_date(end, time_zone),
    )  # fmt: skip


def _unless(ended: Collection[Part], renewing: Collection[str]) -> str:
    """What speaks against it, where all that ends renews by itself."""
    return " Unless it renews by itself, as it is set to." if ended and all(
        part.chain in renewing for part in ended
    ) else ""  # fmt: skip


def _source(
    source: Source, renewing: Collection[str], time_zone: str, license_href: str, *, adds: bool
) -> TogetherSource:  # fmt: skip
    part = source.part
    note = ""
    if not adds:
        note = "Of the same subscription as another, whose seats count"
    elif source.in_grace:
        note = f"Ended; still counts until {_ENGLISH.day(local_date(part.until, time_zone))}"
    elif part.chain in renewing:
        note = "Renews by itself"
    return TogetherSource(
        name=part.label or part.plan, href=f"{license_href}{part.id}", plan=part.plan, server=part.server,
        seats=part.seats, until=local_date(part.expires_at - timedelta(seconds=1), time_zone), note=note,
    )  # fmt: skip


def _steps(timeline: Timeline, start: datetime, end: datetime) -> tuple[SeatStep, ...]:
    edges = [start, *(each.starts_at for each in timeline if each.starts_at and start < each.starts_at < end), end]
    seats = [(first, last, merge.at(timeline, first).seats) for first, last in pairwise(edges)]
    top = max(count for *_, count in seats) or 1
    merged: list[tuple[datetime, datetime, int]] = []
    for first, last, count in seats:  # a step into grace changes no seat
        if merged and merged[-1][2] == count:
            merged[-1] = (merged[-1][0], last, count)
        else:
            merged.append((first, last, count))
    return tuple(
        SeatStep(
            x=_place(first, start, end), width=on_scale((last - first) / (end - start), 0, 1),
            # A fifth stays free above the highest step for its figure.
            y=on_scale(1 - 0.8 * count / top, 0, 1), height=on_scale(0.8 * count / top, 0, 1),
            label=_ENGLISH.number(count) if (last - first) / (end - start) >= _NARROW else "",
            label_x=_place(first + (last - first) / 2, start, end), label_y=on_scale(0.96 - 0.8 * count / top, 0, 1),
        )
        for first, last, count in merged
    )  # fmt: skip


def _place(instant: datetime, start: datetime, end: datetime) -> str:
    return on_scale((instant - start) / (end - start), 0, 1)


def _file(row: MergedLicense, time_zone: str, file_href: Callable[[str], str] | None) -> MergedFile:
    handed_out = file_href is not None and row.state is not LicenseState.REVOKED
    return MergedFile(
        server=row.server, file_id=row.file_id, seats=row.seats, sources=len(row.sources),
        until=local_date(row.expires_at - timedelta(seconds=1), time_zone), issued_at=row.issued_at,
        state=row.state.value, download_href=file_href(row.id) if file_href is not None and handed_out else "",
    )  # fmt: skip
