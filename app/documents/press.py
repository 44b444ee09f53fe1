"""typst, kept warm: one compiler per template and process, user text only ever as data."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from app.documents.legible import Substitution, mapped
from app.documents.shapes import Attachment

if TYPE_CHECKING:
    import typst

TEMPLATES: Final = Path(__file__).parent / "pdf"
# PDF/A forbids the empty glyph, so typst names every text no font could draw, quoted as Rust quotes.
_UNDRAWABLE: Final = re.compile(r'the text `"((?:[^"\\]|\\.)*)"` could not be displayed')
_RUST_ESCAPE: Final = re.compile(r"\\(?:u\{([0-9a-f]+)\}|(.))")
_RUST_LETTERS: Final = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}
_ROUNDS: Final = 12
_NAMED_IN_NOTE: Final = 40  # code points; a name in another script has fewer


class Undrawable(RuntimeError):
    """typst goes on refusing a text although everything it named was replaced."""


@dataclass(slots=True)
class Press:
    """A compiler and what it has learnt about its fonts; the lock is because a compiler serves one call at a time."""

    compiler: "typst.Compiler"
    lock: Lock = field(default_factory=Lock)
    undrawable: set[str] = field(default_factory=set)  # single characters only, so it is bounded by Unicode

    def print(self, sheet: dict[str, Any], attachments: tuple[Attachment, ...], at: datetime, missing: str) -> bytes:
        """A PDF/A-3b whose bytes depend on the arguments alone.

        `missing` is the sentence, with one `%s`, that is added to the notes of a sheet with boxes in it.
        Raises Undrawable, or typst.TypstError where a template is broken.
        """
        import typst

        files = json.dumps([_attached(file) for file in attachments])
        with self.lock:
            undrawable = set(self.undrawable)
            for _ in range(_ROUNDS):
                data = json.dumps(_with_boxes(sheet, undrawable, missing))
                try:
                    return self._compile({"data": data, "attachments": files}, at)
                except typst.TypstError as error:
                    named = set(_named(error.diagnostic))
                    if not named:
                        raise
                    self.undrawable |= {text for text in named if len(text) == 1}
                    # A cluster that was replaced and is named again stood there in another spelling.
                    again = {char for text in named & undrawable for char in text if not char.isascii()}
                    undrawable |= named | again
        raise Undrawable(f"still undrawable after {_ROUNDS} rounds: {sorted(named)!r}")

    def _compile(self, inputs: dict[str, str], at: datetime) -> bytes:
        pdf = self.compiler.compile(
            format="pdf", sys_inputs=inputs, pdf_standards=["a-3b"], timestamp=int(at.timestamp())
        )
        if not isinstance(pdf, bytes):
            raise TypeError("typst returned pages where one PDF was asked for")
        return pdf


@cache
def press(template: str, font_dir: Path | None) -> Press:
    """The press of `pdf/<template>.typ`; `font_dir` adds an operator's fonts to the ones inside typst."""
    import typst

    fonts = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=True, font_paths=[font_dir] if font_dir else []
    )
    return Press(typst.Compiler(TEMPLATES / f"{template}.typ", root=TEMPLATES, font_paths=fonts))


def _attached(file: Attachment) -> dict[str, str]:
    return {
        "name": file.name,
        "text": file.text,
        "relationship": file.relationship,
        "mime_type": file.mime_type,
        "description": file.description,
    }


def _with_boxes(sheet: dict[str, Any], undrawable: set[str], missing: str) -> dict[str, Any]:
    boxes = Substitution(undrawable)
    shown: dict[str, Any] = {key: mapped(value, boxes) for key, value in sheet.items()}
    if met := boxes.met():
        named = " ".join(met[:_NAMED_IN_NOTE]) + (" …" if len(met) > _NAMED_IN_NOTE else "")
        shown["notes"] = [*shown["notes"], {"title": "", "text": missing % named}]
    return shown


def _named(diagnostic: str) -> Iterator[str]:
    for quoted in _UNDRAWABLE.findall(diagnostic):
        yield _RUST_ESCAPE.sub(_unescaped, quoted)


def _unescaped(escape: re.Match[str]) -> str:
    by_number, by_letter = escape.groups()
    return chr(int(by_number, 16)) if by_number else _RUST_LETTERS.get(by_letter, by_letter)
