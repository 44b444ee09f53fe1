"""Euro reference rates: the ECB's own files, read whole or not at all, and the operator's instead."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.tax import exchange_rates
from app.tax.exchange_rates import Rate, RatesRefused
from tests.cli.conftest import Blp
from tests.world import World

HISTORY = b"Date,USD,JPY,CYP,\n2026-09-30,1.1000,160.50,N/A,\n2026-09-29,1.0950,160.10,N/A,\n"
ONE_DAY = b"Date, USD, JPY, \n30 September 2026, 1.1000, 160.50, \n"
XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01"
 xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref"><Cube><Cube time='2026-09-30'>
<Cube currency='USD' rate='1.1000'/><Cube currency='JPY' rate='160.50'/></Cube></Cube></gesmes:Envelope>"""


def test_every_form_of_the_file_says_the_same() -> None:
    day = date(2026, 9, 30)
    one = [Rate(day, "JPY", Decimal("160.50")), Rate(day, "USD", Decimal("1.1000"))]
    assert exchange_rates.read_file(ONE_DAY) == exchange_rates.read_file(XML) == one
    assert [each for each in exchange_rates.read_file(HISTORY) if each.on == day] == one


@pytest.mark.parametrize(
    "content",
    [
        b"", b"Date,USD\n", b"day,USD\n2026-09-30,1\n", b"Date,USD\nsoon,1\n", b"Date,USD\n2026-09-30,0\n",
        b"Date,USD\n2026-09-30,-1\n", b"Date,USD\n2026-09-30,much\n", b"Date,usd\n2026-09-30,1\n", b"<Cube",
        b"\xff\xfe", b"Date,EUR\n2026-09-30,1\n", b"Date,USD\n2026-09-30,1\n2026-09-30,1\n",
        b"Date,USD\n2026-09-30,1.123456789\n",
    ],
)  # fmt: skip
def test_what_is_not_such_a_file_is_refused(content: bytes) -> None:
    with pytest.raises(RatesRefused):
        exchange_rates.read_file(content)


def test_rates_are_imported_once_and_never_changed(world: World, blp: Blp, tmp_path: Path) -> None:
    file = tmp_path / "rates.csv"
    file.write_bytes(HISTORY)
    done, again = blp("tax", "import-rates", str(file)), blp("tax", "import-rates", str(file))
    assert done.stdout == "4 rates of 2026-09-29 to 2026-09-30 stored, 0 known already.\n"
    assert again.stdout == "0 rates of 2026-09-29 to 2026-09-30 stored, 4 known already.\n"
    file.write_bytes(HISTORY.replace(b"1.0950", b"1.0951"))
    refused = blp("tax", "import-rates", str(file))
    assert refused.returncode == 1
    assert "one of the files is wrong" in refused.stderr
    assert blp("tax", "import-rates", str(tmp_path / "none")).returncode == 2
    assert blp("tax", "set-rate", "2026-09-30", "USD", "1.2", "--why", "Misprint").stdout == (
        "1 EUR is 1.2 USD on 2026-09-30.\n"
    )
    assert blp("tax", "set-rate", "2026-09-30", "USD", "0", "--why", "x").returncode == 1
    assert blp("tax", "set-rate", "2026-09-30", "USD", "one", "--why", "x").returncode == 2
    with pytest.raises(DBAPIError), world.db.transaction() as tx:
        tx.execute(text("UPDATE exchange_rate SET rate = 2"))
