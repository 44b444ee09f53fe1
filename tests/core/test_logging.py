"""What reaches the log."""

import json
import logging as library
from collections.abc import Iterator

import pytest
import structlog

from app.core import logging


@pytest.fixture
def _restored() -> Iterator[None]:
    root = library.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = handlers, level
    structlog.configure(**before)


@pytest.mark.usefixtures("_restored")
def test_what_a_caller_binds_by_mistake_never_reaches_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure("json")
    structlog.get_logger().info(
        "mail.sent", to="ada@beispiel.example", api_secret="hunter2", cookie="abc", order="ord_1",
        nested={"Authorization": "Bearer x", "seats": 25}, several=["bo@bluegrass.example", 7],
    )  # fmt: skip
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["order"], line["nested"]["seats"], line["several"][1]) == ("mail.sent", "ord_1", 25, 7)
    hidden = [line["to"], line["api_secret"], line["cookie"], line["nested"]["Authorization"], line["several"][0]]
    assert hidden == ["[hidden]"] * 5


@pytest.mark.parametrize(
    "secret",
    [
        "ada.lovelace+shop@beispiel.example", "blp_0123456789abcdefghijklmnopqrstuvwxyz", "sk_live_51abc",
        "whsec_c2VjcmV0", "4242424242424242",
    ],
)  # fmt: skip
def test_a_secret_in_the_middle_of_a_sentence_is_hidden(secret: str) -> None:
    shown = logging.hide(None, "info", {"event": f"could not use {secret} today", "error": {"detail": [secret]}})
    assert shown == {"event": "could not use [hidden] today", "error": {"detail": ["[hidden]"]}}
