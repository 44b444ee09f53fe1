"""typst, kept warm: one compiler per template and process, user text only ever as data."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Literal

from app.documents.legible import Substitution, most_likely_undrawable
from app.documents.shapes import Attachment

if TYPE_CHECKING:
    import typst

TEMPLATES: Final = Path(__file__).parent / "pdf"
# PDF/A forbids the empty glyph, so typst names every text no font could draw, quoted as Rust quotes.
_UNDRAWABLE: Final = re.compile(r'the text `"((?:[^"\\]|\\.)*)"` could not be displayed')
_RUST_ESCAPE: Final = re.compile(r"\\(?:u\{([0-9a-f]+)\}|(.))")
_RUST_LETTERS: Final = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}
# For the archive (ISO 19005-3) and for readers who cannot see (ISO 14289-1): tagged, titled, in reading order.
_STANDARDS: Final[list[Literal["a-3b", "ua-1"]]] = ["a-3b", "ua-1"]
_NAMED_IN_NOTE: Final = 40  # code points; a name in another script has fewer


class Undrawable(RuntimeError):
    """typst goes on refusing a text although everything it named was replaced."""


@dataclass(slots=True)
class Press:
    """A compiler of one template; the lock is because it serves one call at a time."""

    compiler: "typst.Compiler"
    lock: Lock = field(default_factory=Lock)

    def print(self, sheet: dict[str, Any], attachments: tuple[Attachment, ...], at: datetime, missing: str) -> bytes:
        """A PDF whose bytes depend on the arguments alone: nothing is learnt from one document for the next.

        Which characters have no glyph is known only to typst, so a refused sheet is printed again with boxes in
        their places; `missing` is the sentence, with one `%s`, that then goes to its notes.
        Raises Undrawable, or typst.TypstError where a template is broken.
        """
        import typst

        files = json.dumps([_attached(file) for file in attachments])
        boxed: set[str] = set()
        while True:
            data = json.dumps(_with_boxes(sheet, boxed, missing))
            try:
                return self._compile({"data": data, "attachments": files}, at)
            except typst.TypstError as error:
                named = set("".join(_named(error.diagnostic)))
                if not named:
                    raise
                if named <= boxed:
                    raise Undrawable(f"replaced, and still refused: {sorted(named)!r}") from error
                boxed |= most_likely_undrawable(named - boxed)

    def undrawable(self, pieces: Sequence[str]) -> set[str]:
        """The characters of these texts that no font can draw, each with what it cannot be drawn without."""
        import typst

        try:
            self._compile({"data": json.dumps({"pieces": pieces})}, datetime(2000, 1, 1, tzinfo=UTC))
        except typst.TypstError as error:
            named = set("".join(_named(error.diagnostic)))
            if not named:
                raise
            return most_likely_undrawable(named)
        return set()

    def _compile(self, inputs: dict[str, str], at: datetime) -> bytes:
        with self.lock:
            pdf = self.compiler.compile(
                format="pdf", sys_inputs=inputs, pdf_standards=[*_STANDARDS], timestamp=int(at.timestamp())
            )
        if not isinstance(pdf, bytes):
            raise TypeError("typst returned pages where one PDF was asked for")
        return pdf


@cache
def press(template: str, font_dir: Path | None) -> Press:
    """The press of `pdf/<template>.typ`; `font_dir` adds an operator's fonts to the ones inside typst."""
    import typst

    return Press(
        typst.Compiler(
            TEMPLATES / f"{template}.typ",
            root=TEMPLATES,
            font_paths=[font_dir] if font_dir else [],
            ignore_system_fonts=True,  # a server's own fonts would change the bytes
        )
    )


def _attached(file: Attachment) -> dict[str, str]:
    return {
        "name": file.name,
        "text": file.text,
        "relationship": file.relationship,
        "mime_type": file.mime_type,
        "description": file.description,
    }


def _with_boxes(sheet: dict[str, Any], boxed: set[str], missing: str) -> dict[str, Any]:
    boxes = Substitution(boxed)
    shown: dict[str, Any] = boxes.apply(sheet)
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
