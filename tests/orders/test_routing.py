"""Which deals run by themselves, and every reason why not (R-THR)."""

from hypothesis import given
from hypothesis import strategies as st

from app.core.money import Money
from app.orders.models import OrderKind, Route
from app.orders.routing import Facts, decide

LIMITS = {"USD": 500_000, "EUR": 460_000}


def facts(net: int, currency: str = "USD", **changes: object) -> Facts:
    base: dict[str, object] = {"kind": OrderKind.PURCHASE, "net": Money(net, currency), "thresholds": LIMITS}
    return Facts(**(base | changes))  # type: ignore[arg-type]  # a table of keyword arguments


def codes(of: Facts) -> list[str]:
    return [reason.code for reason in decide(of).reasons]


@given(st.integers(1, 2_000_000))
def test_automatic_exactly_when_strictly_below_the_limit(net: int) -> None:
    assert (decide(facts(net)).route is Route.AUTOMATIC) == (net < 500_000)


@given(st.lists(st.integers(1, 300_000), max_size=5), st.integers(1, 499_999))
def test_splitting_an_order_does_not_get_around_the_limit(earlier: list[int], net: int) -> None:
    routing = decide(facts(net, spent=[Money(each, "USD") for each in earlier]))
    assert (routing.route is Route.AUTOMATIC) == (sum(earlier) + net < 500_000)


def test_earlier_orders_count_by_their_share_of_their_own_currencys_limit() -> None:
    half_in_euros = [Money(230_000, "EUR")]
    assert decide(facts(249_999, spent=half_in_euros)).route is Route.AUTOMATIC
    assert codes(facts(250_000, spent=half_in_euros)) == ["rolling_total"]


def test_renewals_are_measured_alone() -> None:
    earlier = [Money(490_000, "USD")]
    assert decide(facts(490_000, kind=OrderKind.RENEWAL, spent=earlier)).route is Route.AUTOMATIC
    assert decide(facts(500_000, kind=OrderKind.RENEWAL)).route is Route.SALES


def test_a_currency_without_a_limit_goes_to_sales() -> None:
    assert codes(facts(1, "JPY")) == ["no_threshold"]


def test_every_reason_is_given_and_sales_outranks_review() -> None:
    routing = decide(facts(600_000, sales_only="Enterprise Advanced", tax_unclear="no rate", export_hold="SY"))
    assert routing.route is Route.SALES
    assert [reason.code for reason in routing.reasons] == [
        "sales_only_plan", "at_or_above_threshold", "tax_unclear", "export_hold",
    ]  # fmt: skip


def test_an_unclear_tax_holds_the_order_and_never_becomes_zero() -> None:
    assert decide(facts(1000, tax_unclear="local rates are missing")).route is Route.REVIEW


def test_the_reason_carries_its_figure() -> None:
    assert decide(facts(500_000)).reasons[0].to_json()["figure"] == {"amount": 500_000, "currency": "USD"}


def test_a_stranger_learns_the_route_and_nothing_of_what_the_account_did() -> None:
    earlier = [Money(490_000, "USD")]
    told = [
        " ".join(
            reason.sentence for reason in decide(facts(10_000, spent=spent, agreement=title, stranger=True)).reasons
        )
        for spent, title in ((earlier, "Master agreement"), ([Money(900_000, "USD")], "Framework"))
    ]
    assert told[0] == told[1]
    known = decide(facts(10_000, spent=earlier, agreement="Master agreement")).reasons
    assert ["Master agreement" in known[0].sentence, "100 %" in known[1].sentence] == [True, True]
