"""`blp catalog apply FILE`: from a file to plans, prices, seller, terms and policies, with a diff first.

The file is compared with the database; the differences are said in words, then applied in one transaction.
A second run finds no difference. What the file no longer names is retired, never deleted: documents and
subscriptions point at it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select, text
from sqlmodel import col

from app.accounts.models import LegalEntity, SellerRegistration
from app.agreements.models import TermsVersion
from app.catalog import export_classes, file
from app.catalog.errors import CatalogInvalid
from app.catalog.models import CatalogVersion, Coupon, ExportClass, Plan, Price
from app.core import audit, policy
from app.core.canonical import sha256_hex
from app.core.db import Tx
from app.core.ids import new_id
from app.flows import schedule  # noqa: F401 -- every flow, because each declares its policies

_PLAN_FIELDS = (
    "name", "kind", "family", "tagline", "position", "sales_only", "tax_code", "license_sku", "min_seats", "max_seats",
    "trial_days", "grace_days", "bullets", "flags", "add_on_for", "activation_rules",
)  # fmt: skip
_ENTITY_FIELDS = (
    "name", "line1", "line2", "city", "region", "postcode", "country", "email", "invoice_series", "time_zone",
    "established", "oss", "below_eu_threshold", "elections", "sells_to_consumers", "payment_details",
)  # fmt: skip


@dataclass(slots=True)
class _Run:
    """One comparison. Changes are made as they are found; the caller rolls back for a dry run."""

    tx: Tx
    by: str
    now: datetime
    changes: list[str] = field(default_factory=list)


def apply(tx: Tx, path: Path, *, by: str, now: datetime) -> list[str]:
    """Bring the database to the file's state and say what changed, one line each; nothing for a second run.

    Raises CatalogInvalid with every fault of the file; then nothing was changed.
    """
    tx.execute(text("SELECT pg_advisory_xact_lock(hashtext('catalog'))"))
    catalog, texts = file.read(path)
    run = _Run(tx, by, now)
    for entity in catalog.legal_entities:
        _entity(run, entity)
    for plan in catalog.plans:
        _plan(run, plan)
    _retire_missing(run, {plan.sku for plan in catalog.plans})
    _coupons(run, catalog.coupons)
    for terms in catalog.terms:
        _terms(run, terms, texts[terms.file])
    _policies(run, catalog.policies)
    if run.changes:
        digest = sha256_hex(path.read_bytes())
        tx.add(CatalogVersion(sha256=digest, applied_at=now, applied_by=by, changes=run.changes))
        audit.record(tx, audit.SYSTEM, actor=by, action="catalog.applied", subject=digest[:16], now=now,
                     details={"changes": len(run.changes)})  # fmt: skip
    tx.flush()
    return run.changes


def _set(target: object, wanted: Mapping[str, Any], label: str, changes: list[str]) -> None:
    for name, value in wanted.items():
        before = getattr(target, name)
        if before != value:
            setattr(target, name, value)
            shown = "" if isinstance(value, list | dict) else f": {before} → {value}"
            changes.append(f"~ {label}: {name}{shown or ' changed'}")


def _entity(run: _Run, row: file.LegalEntityRow) -> None:
    wanted = {name: getattr(row, name) for name in _ENTITY_FIELDS}
    entity = run.tx.execute(select(LegalEntity).where(col(LegalEntity.code) == row.code)).scalar_one_or_none()
    if entity is None:
        entity = LegalEntity(id=new_id("leg"), code=row.code, **wanted)
        run.tx.add(entity)
        run.tx.flush()
        run.changes.append(f"+ legal entity {row.code}: {row.name}")
    else:
        _set(entity, wanted, f"legal entity {row.code}", run.changes)
    kept = {
        (each.jurisdiction, each.scheme, each.valid_from): each
        for each in run.tx.execute(
            select(SellerRegistration).where(col(SellerRegistration.legal_entity_id) == entity.id)
        ).scalars()
    }
    for each in row.registrations:
        known = kept.pop((each.jurisdiction, each.scheme, each.valid_from), None)
        label = f"registration {row.code} {each.jurisdiction} {each.scheme}"
        if known is None:
            run.tx.add(SellerRegistration(
                legal_entity_id=entity.id, jurisdiction=each.jurisdiction, scheme=each.scheme, number=each.number,
                valid_from=each.valid_from, valid_to=each.valid_to,
            ))  # fmt: skip
            run.changes.append(f"+ {label}")
        else:
            _set(known, {"number": each.number, "valid_to": each.valid_to}, label, run.changes)
    for gone in kept.values():
        if gone.valid_to is None:
            raise CatalogInvalid(
                f"The registration {gone.jurisdiction} {gone.scheme} of {row.code} is gone from the file; registrations"
                " are ended with `to`, not removed, because past documents rest on them.", param="registrations",
            )  # fmt: skip


def _plan(run: _Run, row: file.PlanRow) -> None:
    wanted = {name: getattr(row, name) for name in _PLAN_FIELDS}
    plan = run.tx.execute(select(Plan).where(col(Plan.sku) == row.sku)).scalar_one_or_none()
    if plan is None:
        plan = Plan(id=new_id("pln"), sku=row.sku, **wanted)
        run.tx.add(plan)
        run.tx.flush()
        run.changes.append(f"+ plan {row.sku}: {row.name}")
    else:
        _set(plan, wanted, f"plan {row.sku}", run.changes)
        if plan.retired_at is not None:
            plan.retired_at = None
            run.changes.append(f"~ plan {row.sku}: on sale again")
    _exports(run, plan, row.export)
    _prices(run, plan, row.prices)


def _exports(run: _Run, plan: Plan, rows: list[file.ExportRow]) -> None:
    """A classification on file is never edited: documents were issued with it."""
    known = {each.valid_from: each for each in export_classes.of_plan(run.tx, plan.id)}
    for row in sorted(rows, key=lambda each: each.valid_from):
        given: dict[str, Any] = {"eccn": row.eccn, "authorisation": row.authorisation, "ccats": row.ccats}
        stored = known.pop(row.valid_from, None)
        if stored is None:
            run.tx.add(ExportClass(plan_id=plan.id, valid_from=row.valid_from, recorded_at=run.now, **given))
            run.tx.flush()
            run.changes.append(f"+ export class {plan.sku} {row.eccn} {row.authorisation} from {row.valid_from}")
        elif any(getattr(stored, name) != value for name, value in given.items()):
            raise CatalogInvalid(
                f"The export class of {plan.sku} from {row.valid_from} is {stored.eccn} {stored.authorisation}"
                f" {stored.ccats}".rstrip() + " and cannot change: add a row with a later `from` instead.",
                param="export",
            )  # fmt: skip
    for gone in known.values():
        raise CatalogInvalid(
            f"The export class of {plan.sku} from {gone.valid_from} is gone from the file; documents rest on it. Put it"
            " back, and add a row with a later `from` for what holds now.", param="export",
        )  # fmt: skip


def _prices(run: _Run, plan: Plan, rows: list[file.PriceRow]) -> None:
    """A price in force is never edited: a new row begins where it ends, so old documents stay explained."""
    series: dict[tuple[str, str], list[file.PriceRow]] = {}
    for row in sorted(rows, key=lambda each: each.valid_from):
        series.setdefault((row.currency, row.interval), []).append(row)
    stored: dict[tuple[str, str], list[Price]] = {}
    query = select(Price).where(col(Price.plan_id) == plan.id).order_by(col(Price.valid_from))
    for price in run.tx.execute(query).scalars():
        stored.setdefault((price.currency, price.interval), []).append(price)
    for key, wanted in series.items():
        _price_series(run, plan, stored.pop(key, []), wanted)
    for (currency, interval), left in stored.items():
        if left[-1].valid_to is None:
            left[-1].valid_to = max(run.now.date(), date.fromordinal(left[-1].valid_from.toordinal() + 1))
            run.changes.append(f"- price {plan.sku} {currency} per {interval}: ended")


def _price_series(run: _Run, plan: Plan, stored: list[Price], wanted: list[file.PriceRow]) -> None:
    known = {price.valid_from: price for price in stored}
    for index, row in enumerate(wanted):
        following = wanted[index + 1].valid_from if index + 1 < len(wanted) else None
        ends = row.valid_to or following
        price = known.get(row.valid_from)
        model, shown = row.pricing, row.pricing.words()
        if price is None:
            earlier = [each for each in stored if each.valid_from < row.valid_from]
            previous = earlier[-1] if earlier else None
            if previous is not None and (previous.valid_to is None or previous.valid_to > row.valid_from):
                previous.valid_to = row.valid_from
                run.tx.flush()
            run.tx.add(Price(
                id=new_id("prc"), plan_id=plan.id, currency=row.currency, interval=row.interval,
                unit_minor=row.unit_minor, valid_from=row.valid_from, valid_to=ends, model=row.model,
                tiers=model.to_json()["tiers"], package_size=row.package_size, base_minor=model.base_minor,
            ))  # fmt: skip
            run.tx.flush()
            until = f" to {row.valid_to}" if row.valid_to else ""
            run.changes.append(f"+ price {plan.sku} {shown} per {row.interval} from {row.valid_from}{until}")
        elif price.pricing != model:
            raise CatalogInvalid(
                f"The price of {plan.sku} per {row.interval} from {row.valid_from} is"
                f" {price.pricing.words()} and cannot become {shown}:"
                " add a row with a later `from` instead.", param="prices",
            )  # fmt: skip
        elif row.valid_to is not None and price.valid_to != row.valid_to:
            label = f"price {plan.sku} {shown} per {row.interval} from {row.valid_from}"
            run.changes.append(f"~ {label}: valid_to: {price.valid_to} → {row.valid_to}")
            price.valid_to = row.valid_to
            run.tx.flush()


def _retire_missing(run: _Run, skus: set[str]) -> None:
    for plan in run.tx.execute(select(Plan).where(col(Plan.retired_at).is_(None))).scalars():
        if plan.sku not in skus:
            plan.retired_at = run.now
            run.changes.append(f"- plan {plan.sku}: retired")


def _coupons(run: _Run, rows: list[file.CouponRow]) -> None:
    """Whom and until when a coupon is for can change; its worth cannot, because subscriptions rest on it."""
    known = {each.code: each for each in run.tx.execute(select(Coupon)).scalars()}
    for row in rows:
        open_: dict[str, Any] = {"name": row.name, "max_redemptions": row.max_redemptions, "plans": list(row.plans),
                 "valid_from": row.valid_from, "valid_to": row.valid_to, "withdrawn_at": None}  # fmt: skip
        fixed: dict[str, Any] = {
            "percent": row.percent, "amounts": row.amounts_minor, "duration": row.duration, "months": row.months,
        }  # fmt: skip
        coupon = known.pop(row.code, None)
        if coupon is None:
            run.tx.add(Coupon(id=new_id("cpn"), code=row.code, **fixed, **open_))
            run.changes.append(f"+ coupon {row.code}: {row.name}")
            continue
        changed = [name for name, value in fixed.items() if getattr(coupon, name) != value]
        if changed:
            raise CatalogInvalid(
                f"The {' and '.join(changed)} of the coupon {row.code} cannot change: give the new one another code.",
                param="coupons",
            )
        _set(coupon, open_, f"coupon {row.code}", run.changes)
    for gone in known.values():
        if gone.withdrawn_at is None:
            gone.withdrawn_at = run.now
            run.changes.append(f"- coupon {gone.code}: withdrawn")


def _terms(run: _Run, row: file.TermsRow, body: str) -> None:
    digest = sha256_hex(body.encode())
    known = run.tx.execute(
        select(TermsVersion).where(col(TermsVersion.key) == row.key, col(TermsVersion.version) == row.version)
    ).scalar_one_or_none()
    if known is None:
        run.tx.add(TermsVersion(
            id=new_id("trm"), key=row.key, version=row.version, title=row.title, text=body, sha256=digest,
            effective_from=row.effective_from,
        ))  # fmt: skip
        run.changes.append(f"+ terms {row.key} {row.version}")
    elif known.sha256 != digest:
        raise CatalogInvalid(
            f"The text of {row.key} {row.version} differs from the one people accepted: give it a new version.",
            param="terms",
        )


def _policies(run: _Run, wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        known = policy.declared().get(name)
        if known is None:
            raise CatalogInvalid(
                f"There is no policy {name!r}; known are {', '.join(sorted(policy.declared()))}.", param="policies"
            )
        history = policy.history(run.tx, name)
        current = history[0].value if history else known.default
        if current != value:
            policy.change(run.tx, name, value, valid_from=run.now, by=run.by, why="catalog file", now=run.now)
            run.changes.append(f"~ policy {name}: {current} → {value}")
