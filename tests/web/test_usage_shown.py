"""Seats used against seats bought, in rows and in a drawing."""

from datetime import date

from app.web.usage_shown import UsageRow, bars


def row(people: int, seats: int) -> UsageRow:
    return UsageRow(
        first=date(2026, 11, 1), last=date(2026, 11, 7), server="", people=people, seats=seats, by="The product"
    )


def test_what_goes_beyond_the_seats_is_counted_and_stands_above_their_line() -> None:
    within, beyond = row(10, 20), row(25, 20)
    assert (within.over, beyond.over) == (0, 5)
    low, high = bars((within, beyond))
    assert (low.height, high.height) == ("32%", "80%"), "the highest bar leaves room for its figure"
    assert low.seats_y == high.seats_y == "36%"
    assert low.label_y == "32%", "the figure of a low bar stands above the line, not in it"
    assert (low.to_x, high.from_x) == ("12%", "12%"), "few reports make no walls"


def test_a_plot_of_nothing_divides_by_nothing() -> None:
    assert bars(()) == ()
    (empty,) = bars((row(0, 0),))
    assert (empty.height, empty.seats_y) == ("0%", "100%")


def test_many_reports_share_the_width() -> None:
    drawn = bars(tuple(row(n, 12) for n in range(1, 13)))
    assert (drawn[0].from_x, drawn[-1].to_x) == ("0%", "100%")
