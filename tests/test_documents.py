"""What the documents say about the software is so."""

import json
import re
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

import app.worker  # noqa: F401 -- every flow, because each declares its policies
from app.catalog import file
from app.cli import cli
from app.config import Settings
from app.core import policy

ROOT = Path(__file__).resolve().parents[1]
OPERATORS = ("README.md", "docs/guides/run-for-real.md", "docs/guides/operate.md", "docs/guides/write-a-catalog.md")
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)")
_COMMAND = re.compile(r"(?:^|`)(?:\S+/)?blp ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)", re.MULTILINE)
# The picture is made from the running demo.
_MADE_LATER = {"docs/images/portal.png"}


def documents() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def settings_in_the_readme() -> dict[str, str]:
    text = (ROOT / "README.md").read_text("utf-8")
    table = text.partition("<!-- settings:")[2].partition("<!-- end of settings -->")[0]
    return dict(re.findall(r"^\| `(BLP_\w+)` \| (?:`([^`]*)` )?\|", table, re.MULTILINE))


def as_written(default: object) -> str:
    if default is None or default == ():
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_the_readme_lists_every_setting_with_its_default() -> None:
    settings = {f"BLP_{name.upper()}": as_written(field.default) for name, field in Settings.model_fields.items()}
    assert settings_in_the_readme() == settings


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_are_told_only_commands_that_exist(name: str) -> None:
    group = typer.main.get_command(cli)
    assert isinstance(group, TyperGroup)
    told = _COMMAND.findall((ROOT / name).read_text("utf-8"))
    assert told, "the guide names no command"
    for words in told:
        first, _, second = words.partition(" ")
        assert first in group.commands, f"{name} tells of `blp {words}`"
        inner = group.commands[first]
        if isinstance(inner, TyperGroup):
            assert second in inner.commands, f"{name} tells of `blp {words}`"


def test_the_catalog_guide_lists_every_policy_with_its_default() -> None:
    text = (ROOT / "docs/guides/write-a-catalog.md").read_text("utf-8")
    listed = re.findall(r"^\| `([a-z_.]+)` \| `([^`]+)` \|", text, re.MULTILINE)
    assert dict(listed) == {name: json.dumps(each.default) for name, each in policy.declared().items()}


def test_the_catalog_guide_names_every_field() -> None:
    text = (ROOT / "docs/guides/write-a-catalog.md").read_text("utf-8")
    for shape in (
        file.CatalogFile,
        file.LegalEntityRow,
        file.RegistrationRow,
        file.PlanRow,
        file.PriceRow,
        file.TierRow,
        file.CouponRow,
        file.TermsRow,
    ):
        for name, field in shape.model_fields.items():
            assert f"`{field.alias or name}`" in text, f"{shape.__name__}.{name}"


def test_no_link_between_documents_leads_nowhere() -> None:
    dead = []
    for document in documents():
        for target in _LINK.findall(document.read_text("utf-8")):
            if "://" in target or target.startswith("mailto:"):
                continue
            path = (document.parent / target).resolve()
            if not path.exists() and str(path.relative_to(ROOT)) not in _MADE_LATER:
                dead.append(f"{document.relative_to(ROOT)} → {target}")
    assert dead == []


@pytest.mark.parametrize("folder", ["adr", "guides"])
def test_every_page_of_a_folder_is_in_its_index(folder: str) -> None:
    home = ROOT / "docs" / folder
    listed = set(_LINK.findall((home / "README.md").read_text("utf-8")))
    assert {page.name for page in home.glob("*.md")} - {"README.md"} <= listed


def test_every_decision_that_is_cited_has_a_page() -> None:
    pages = {page.name[:4] for page in (ROOT / "docs" / "adr").glob("[0-9]*.md")}
    cited = {
        (number, str(path.relative_to(ROOT)))
        for folder in ("app", "tests", "alembic")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for number in re.findall(r"\bADR (\d{4})\b", path.read_text("utf-8"))
    }
    assert cited
    assert {(number, path) for number, path in cited if number not in pages} == set()


def test_every_decision_has_the_four_parts() -> None:
    for page in sorted((ROOT / "docs" / "adr").glob("[0-9]*.md")):
        text = page.read_text("utf-8")
        for part in (r"Status: \w+", r"## Context", r"## Decision", r"## Consequences?"):
            assert re.search(part, text), f"{page.name} has no {part}"
