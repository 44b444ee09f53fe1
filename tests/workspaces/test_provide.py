"""What a completed order does to workspaces, and how provisioners are woken."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from app.adapters.polling_provisioners import PollingProvisioners
from app.adapters.sandbox.provisioner import SandboxProvisioners
from app.config import Settings
from app.core import migrate, policy
from app.core.ids import new_id
from app.flows import provisioning
from app.licenses.models import License, LicenseState
from app.subscriptions.models import Subscription
from app.wiring import wire
from app.workspaces import service
from app.workspaces.models import Workspace
from tests.workspaces.conftest import NOW, Make
from tests.workspaces.provisioning import claim, complete, nothing_to_do
from tests.world import World


def _license(subscription: Subscription, text: str, **changes: Any) -> License:
    values: dict[str, Any] = {
        "account_id": subscription.account_id, "subscription_id": subscription.id, "order_id": subscription.order_id,
        "plan_id": subscription.plan_id, "file_id": text, "sku": "cloud-professional", "seats": 25,
        "starts_at": NOW, "expires_at": NOW + timedelta(days=365), "grace_days": 10, "state": LicenseState.ACTIVE,
        "entitlements": {}, "kid": "kid", "file_text": text, "file_sha256": text, "issued_at": NOW,
    }  # fmt: skip
    return License(id=new_id("lic"), **(values | changes))


def _provide(world: World, subscription_id: str, license_: License) -> Workspace:
    with world.db.transaction() as tx:
        subscription = tx.get_one(Subscription, subscription_id)
        return provisioning.provide(tx, subscription, license_, region=None, now=world.ports.clock.now())


def test_a_purchase_opens_a_workspace_and_a_renewal_brings_it_the_new_license(world: World, make: Make) -> None:
    subscription_id = make.subscription(make.account("Acme, Inc."))
    with world.db.transaction() as tx:
        subscription = tx.get_one(Subscription, subscription_id)
    first = _provide(world, subscription_id, _license(subscription, "first"))
    assert (first.hostname, first.admin_email, first.region) == ("acme", "ada@acme.example", "eu")
    assert _provide(world, subscription_id, _license(subscription, "first")).id == first.id
    worker = make.provisioner()
    complete(worker, claim(worker))
    assert nothing_to_do(worker)
    assert _provide(world, subscription_id, _license(subscription, "second", seats=30)).id == first.id
    task = claim(worker)
    assert (task["kind"], task["payload"]["license_file"], task["payload"]["seats"]) == ("update", "second", 30)


def test_a_workspace_asked_for_later_gets_the_license_in_force(world: World, make: Make) -> None:
    subscription_id = make.subscription()
    with world.db.transaction() as tx:
        subscription = tx.get_one(Subscription, subscription_id)
        tx.add(_license(subscription, "in force"))
    make.key("workspaces:write").post("/v1/workspaces", json={"subscription_id": subscription_id})
    assert claim(make.provisioner())["payload"]["license_file"] == "in force"


def test_an_undone_request_leaves_neither_workspace_nor_bell(world: World, make: Make) -> None:
    subscription_id = make.subscription()
    with world.db.session() as tx:
        subscription = tx.get_one(Subscription, subscription_id)
        provisioning.provide(tx, subscription, _license(subscription, "x"), region=None, now=NOW)
        tx.rollback()
    with world.db.transaction() as tx:
        assert tx.execute(select(col(Workspace.id))).first() is None
        rings = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'provisioning.ring'"
        assert tx.connection().exec_driver_sql(rings).scalar_one() == 0


def test_provisioners_of_ones_own_replace_the_sandboxs(world: World) -> None:
    assert isinstance(world.ports.provisioners, SandboxProvisioners)
    for changes, kind in (({"provisioner": "external"}, PollingProvisioners), ({}, SandboxProvisioners)):
        settings = Settings(env="test", _env_file=None, **changes)  # type: ignore[call-arg, arg-type]  # checked at run time
        wired = wire(settings, world.db)
        assert isinstance(wired.ports.provisioners, kind)
        wired.ports.db.dispose()


def test_deletions_that_fall_due_together_are_all_begun(world: World, make: Make) -> None:
    worker, account = make.provisioner(), make.account()
    made = [make.workspace(make.subscription(account), hostname=f"team-{number}") for number in range(3)]
    for _ in made:
        complete(worker, claim(worker))
    client = make.key("workspaces:write")
    for workspace_id in made:
        client.patch(f"/v1/workspaces/{workspace_id}", json={"desired": "deleted"})
    with world.db.transaction() as tx:
        later = world.ports.clock.now() + timedelta(days=15)
        begun = [service.begin_due_deletions(tx, later, limit=2) for _ in range(3)]
    assert begun == [2, 1, 0]
    assert {claim(worker)["kind"] for _ in made} == {"delete"}


def test_the_migrations_make_the_tables_the_code_declares(world: World) -> None:
    assert migrate.drift(world.db) == []


def test_without_days_to_think_it_over_a_deletion_begins_at_once(world: World, make: Make) -> None:
    with world.db.transaction() as tx:
        policy.change(tx, "workspaces.deletion_days", 0, valid_from=NOW, by="test", why="at once", now=NOW)
    workspace_id, worker = make.workspace(), make.provisioner()
    complete(worker, claim(worker))
    make.key("workspaces:write").patch(f"/v1/workspaces/{workspace_id}", json={"desired": "deleted"})
    assert claim(worker)["kind"] == "delete"
