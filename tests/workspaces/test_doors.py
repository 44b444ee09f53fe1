"""Who may see and ask what, and what is refused."""

from sqlalchemy import select
from sqlmodel import col

from app.core import audit
from app.core.audit import AuditEntry
from app.core.ids import new_id
from app.subscriptions.models import Subscription, SubscriptionState
from app.workspaces.models import MOVES
from tests.workspaces.conftest import Make
from tests.workspaces.provisioning import at_once, claim, code, complete
from tests.world import World

PATH = "/v1/workspaces"


def test_an_account_opens_the_workspace_its_cloud_plan_includes(make: Make) -> None:
    account = make.account("Müller & Söhne GmbH")
    subscription = make.subscription(account, seats=12)
    client = make.key("workspaces:write", "workspaces:read", account=account)
    answer = client.post(PATH, json={"subscription_id": subscription})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["hostname"], made["seats"], made["region"]) == ("muller-and-sohne", 12, "eu")
    assert (made["state"], made["admin_email"], made["account_id"]) == ("requested", "ada@acme.example", account)
    assert client.get(f"{PATH}/{made['id']}").json() == made
    again = client.post(PATH, json={"subscription_id": subscription})
    assert (code(again), again.json()["workspace_id"]) == ((409, "workspace_exists"), made["id"])


def test_a_self_managed_plan_includes_no_workspace_but_the_vendor_may_give_one(make: Make) -> None:
    account = make.account()
    subscription = make.subscription(account, sku="professional")
    body = {"subscription_id": subscription, "hostname": "Gift", "region": "us", "admin_email": "root@acme.example"}
    assert code(make.key("workspaces:write", account=account).post(PATH, json=body)) == (409, "no_workspace_included")
    made = make.key("workspaces:write").post(PATH, json=body)
    assert made.status_code == 201
    assert (made.json()["hostname"], made.json()["region"]) == ("gift", "us")
    assert made.json()["admin_email"] == "root@acme.example"


def test_a_subscription_that_has_ended_opens_nothing(world: World, make: Make) -> None:
    subscription = make.subscription()
    with world.db.transaction() as tx:
        tx.get_one(Subscription, subscription).state = SubscriptionState.CANCELED
    answer = make.key("workspaces:write").post(PATH, json={"subscription_id": subscription})
    assert code(answer) == (409, "no_workspace_included")


def test_a_hostname_asked_for_by_name_is_refused_when_taken(make: Make) -> None:
    make.workspace(hostname="acme")
    answer = make.key("workspaces:write").post(PATH, json={"subscription_id": make.subscription(), "hostname": "acme"})
    assert (code(answer), answer.json()["param"]) == ((409, "hostname_taken"), "hostname")


def test_the_name_of_a_deleted_workspace_is_not_given_to_another(make: Make) -> None:
    workspace_id = make.workspace(hostname="acme")
    client = make.key("workspaces:write")
    assert client.patch(f"{PATH}/{workspace_id}", json={"desired": "deleted"}).json()["state"] == "deleted"
    answer = client.post(PATH, json={"subscription_id": make.subscription(), "hostname": "acme"})
    assert code(answer) == (409, "hostname_taken")


def test_companies_of_one_name_that_buy_at_once_get_a_hostname_each(make: Make) -> None:
    subscriptions = [make.subscription(make.account("Acme, Inc.")) for _ in range(20)]
    client = make.key("workspaces:write")
    answers = at_once(20, lambda number: client.post(PATH, json={"subscription_id": subscriptions[number]}))
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.json()["hostname"] for answer in answers} == {"acme", *(f"acme-{number}" for number in range(2, 21))}


def test_a_purchase_that_is_completed_twice_at_once_has_one_workspace(make: Make) -> None:
    subscription = make.subscription()
    assert len(set(at_once(8, lambda _: make.workspace(subscription)))) == 1


def test_what_belongs_to_another_account_is_not_there(make: Make) -> None:
    workspace_id = make.workspace()
    other = make.account("Umbrella")
    client = make.key("*", account=other)
    path = f"{PATH}/{workspace_id}"
    answers = [
        client.get(path),
        client.patch(path, json={"desired": "deleted"}),
        client.patch(path, json={"size": "large"}),
        client.post(f"{path}/cancel_deletion"),
        client.post(f"{path}/retry"),
        client.post(PATH, json={"subscription_id": make.read(workspace_id).subscription_id}),
    ]
    assert [code(answer) for answer in answers] == [(404, "not_found")] * len(answers)
    assert client.get(PATH).json() == {"data": [], "has_more": False}
    assert make.read(workspace_id).desired == "running"
    missing = client.get(f"{PATH}/{new_id('wsp')}").json()
    assert {name: missing[name] for name in ("code", "title", "detail")} == {
        name: answers[0].json()[name] for name in ("code", "title", "detail")
    }


def test_an_account_lists_its_own_and_the_vendor_everything(make: Make) -> None:
    mine, theirs = make.account("Acme"), make.account("Umbrella")
    first = make.workspace(make.subscription(mine), hostname="first")
    second = make.workspace(make.subscription(theirs), hostname="second")
    third = make.workspace(make.subscription(mine), hostname="third")

    def ids(account: str | None, **query: str | int) -> tuple[list[str], bool]:
        listed = make.key("workspaces:read", account=account).get(PATH, params=query).json()
        return [each["id"] for each in listed["data"]], listed["has_more"]

    assert ids(mine) == ([third, first], False)
    assert ids(None) == ([third, second, first], False)
    assert ids(None, limit=2) == ([third, second], True)
    assert ids(None, limit=2, starting_after=second) == ([first], False)
    assert ids(None, state="stable") == ([], False)


def test_each_call_needs_its_scope(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    path = f"{PATH}/{workspace_id}"
    reads = [("GET", PATH, None), ("GET", path, None), ("GET", f"{PATH}/transitions", None)]
    writes: list[tuple[str, str, object]] = [
        ("POST", PATH, {"subscription_id": new_id("sub")}), ("PATCH", path, {"desired": "running"}),
        ("POST", f"{path}/cancel_deletion", None), ("POST", f"{path}/retry", None),
    ]  # fmt: skip
    reader, writer, anonymous = make.key("workspaces:read"), make.key("workspaces:write"), world.browser()
    for method, address, body in [*reads, *writes]:
        wrong = writer if method == "GET" else reader
        assert code(wrong.request(method, address, json=body)) == (403, "scope_missing"), (method, address)
        assert code(anonymous.request(method, address, json=body)) == (401, "not_signed_in"), (method, address)


_MALFORMED_REQUESTS: list[tuple[dict[str, object], str]] = [
    ({}, "subscription_id"),
    ({"subscription_id": "acme"}, "subscription_id"),
    ({"subscription_id": 7}, "subscription_id"),
    ({"hostname": "admin"}, "hostname"),
    ({"hostname": "-acme"}, "hostname"),
    ({"hostname": "acme.example"}, "hostname"),
    ({"hostname": "ac"}, "hostname"),
    ({"hostname": "nul\u0000l"}, "hostname"),
    ({"hostname": "x" * 101}, "hostname"),
    ({"hostname": "xn--80ak6aa92e"}, "hostname"),
    ({"region": "mars"}, "region"),
    ({"region": "EU"}, "region"),
    ({"admin_email": "nobody"}, "admin_email"),
    ({"admin_email": "a@b.c\r\nBcc: x@y.z"}, "admin_email"),
    ({"seats": 1000}, "seats"),
    ({"sku": "enterprise"}, "sku"),
    ({"account_id": "acc_x"}, "account_id"),
]


def test_a_malformed_request_names_its_field(make: Make) -> None:
    client, subscription = make.key("workspaces:write"), make.subscription()
    for body, param in _MALFORMED_REQUESTS:
        given = {"subscription_id": subscription} if body and "subscription_id" not in body else {}
        answer = client.post(PATH, json={**given, **body})
        assert (code(answer), answer.json()["param"]) == ((422, "invalid"), param), body


_MALFORMED_CHANGES: list[tuple[dict[str, object], str]] = [
    ({}, "body"),
    ({"desired": None}, "body"),
    ({"desired": "gone"}, "desired"),
    ({"state": "stable"}, "state"),
    ({"hostname": "other"}, "hostname"),
    ({"size": "enormous"}, "size"),
    ({"version": "1 0"}, "version"),
]


def test_a_malformed_change_names_its_field(make: Make) -> None:
    client, path = make.key("workspaces:write"), f"{PATH}/{make.workspace()}"
    for body, param in _MALFORMED_CHANGES:
        answer = client.patch(path, json=body)
        assert (code(answer), answer.json()["param"]) == ((422, "invalid"), param), body


def test_a_malformed_query_names_its_field(make: Make) -> None:
    client = make.key("workspaces:read")
    for name, value in (("limit", 0), ("limit", 101), ("starting_after", "x"), ("state", "odd")):
        answer = client.get(PATH, params={name: value})
        assert (code(answer), answer.json()["param"]) == ((422, "invalid"), name)


def test_ids_of_another_kind_and_no_ids_at_all_are_not_found(make: Make) -> None:
    client = make.key("workspaces:read")
    for strange in ("wsp_1", new_id("sub"), "wsp_" + "u" * 26, "%00", "a" * 3000):
        assert client.get(f"{PATH}/{strange}").status_code == 404


def test_size_and_version_are_the_vendors_to_set(make: Make) -> None:
    workspace_id = make.workspace()
    worker = make.provisioner()
    complete(worker, claim(worker))
    customer = make.key("workspaces:write", account=make.read(workspace_id).account_id)
    answer = customer.patch(f"{PATH}/{workspace_id}", json={"size": "large"})
    assert (code(answer), answer.json()["param"]) == ((403, "not_allowed"), "size")
    make.key("workspaces:write").patch(f"{PATH}/{workspace_id}", json={"size": "large", "version": "10.6"})
    task = claim(worker)
    assert (task["kind"], task["payload"]["size"], task["payload"]["version"]) == ("update", "large", "10.6")


def test_who_asked_for_a_deletion_is_in_the_audit_chain(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    worker = make.provisioner()
    complete(worker, claim(worker))
    client = make.key("workspaces:write")
    client.patch(f"{PATH}/{workspace_id}", json={"desired": "deleted"})
    client.post(f"{PATH}/{workspace_id}/cancel_deletion")
    with world.db.transaction() as tx:
        rows = list(
            tx.execute(
                select(AuditEntry).where(col(AuditEntry.subject) == workspace_id).order_by(col(AuditEntry.sequence))
            ).scalars()
        )
        assert list(audit.verify(tx)) == []
    assert [(each.action, each.details) for each in rows] == [
        ("workspace.wanted", {"before": "running", "after": "deleted"}),
        ("workspace.deletion_canceled", {}),
    ]
    assert all(each.actor.startswith("key_") for each in rows)


def test_the_table_of_transitions_can_be_read_and_is_the_one_that_is_enforced(make: Make) -> None:
    listed = make.key("workspaces:read").get(f"{PATH}/transitions").json()["data"]
    assert {(each["from"], each["to"]) for each in listed} == {(str(a), str(b)) for a, b in MOVES}
    assert len(listed) == len(MOVES)
    assert all(each["when"].endswith(".") for each in listed)
