"""What makes a PDF with its XML a Factur-X by name: four facts in the XMP metadata (Factur-X 1.09 §6.2.2).

typst embeds the file and states its relationship, but cannot write foreign metadata. `facturx.generate_from_binary`
writes the whole file and its metadata anew, without the mark of PDF/UA and with the time of the machine in five places.
So typst's own bytes stay as they are and one object is replaced by an update at their end (ISO 32000-1 §7.5.6): the
same document gives the same file.
"""

import re
from typing import Final

from app.documents.shapes import Attachment

NAME: Final = "factur-x.xml"
_SPACE: Final = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"
_PROPERTIES: Final = (
    ("DocumentFileName", "The name of the embedded XML document"),
    ("DocumentType", "The type of the hybrid document, in capital letters"),
    ("Version", "The version of the standard that the embedded XML document follows"),
    ("ConformanceLevel", "The level of conformance of the embedded XML document"),
)
_VALUES: Final = {"DocumentFileName": NAME, "DocumentType": "INVOICE", "Version": "1.0", "ConformanceLevel": "EN 16931"}
_LONGEST_END: Final = 400
_END: Final = re.compile(rb"trailer\n<<(?P<trailer>.*)>>\nstartxref\n(?P<table>\d+)\n%%EOF\s*$", re.DOTALL)
_ROOT: Final = re.compile(rb"/Root (?P<number>\d+) 0 R")
_METADATA: Final = re.compile(rb"/Metadata (?P<number>\d+) 0 R")
_STREAM: Final = re.compile(rb"stream\r?\n(?P<data>.*?)\r?\nendstream", re.DOTALL)
_SECTION: Final = re.compile(rb"^xref\n0 (?P<count>\d+)\n")


class NoMetadata(RuntimeError):
    """typst writes XMP in another way than we know: an upgrade changed it."""


def attachment(xml: bytes) -> Attachment:
    """The EN 16931 file as it goes into the PDF, an equivalent of what is printed."""
    return Attachment(NAME, xml.decode(), "text/xml", "alternative", "Factur-X XML file")


def declared(pdf: bytes) -> bytes:
    """The PDF/A-3 that `factur-x.xml` is in, declared to be a Factur-X of level EN 16931. Raises NoMetadata."""
    end = _found(_END, pdf[-_LONGEST_END:])
    table = int(end["table"])
    root = _object(pdf, table, int(_found(_ROOT, end["trailer"])["number"]))
    number = int(_found(_METADATA, root)["number"])
    xmp = _found(_STREAM, _object(pdf, table, number))["data"].decode()
    data = _with_declaration(xmp).encode()
    updated = b"%s\n%d 0 obj\n<</Type/Metadata/Subtype/XML/Length %d>>\nstream\n%s\nendstream\nendobj\n" % (
        pdf, number, len(data), data
    )  # fmt: skip
    section = b"xref\n0 1\n0000000000 65535 f\r\n%d 1\n%010d 00000 n\r\n" % (number, len(pdf) + 1)
    trailer = b"trailer\n<<%s/Prev %d>>\nstartxref\n%d\n%%%%EOF\n" % (end["trailer"], table, len(updated))
    return updated + section + trailer


def _found(pattern: re.Pattern[bytes], where: bytes) -> re.Match[bytes]:
    found = pattern.search(where)
    if found is None:
        raise NoMetadata(f"nothing in the PDF looks like {pattern.pattern!r}")
    return found


def _object(pdf: bytes, table: int, number: int) -> bytes:
    """The bytes of an indirect object, by a cross-reference table of one section (ISO 32000-1 §7.5.4)."""
    head = _found(_SECTION, pdf[table : table + 40])
    entry = pdf[table + head.end() + 20 * number :][:10]
    if number >= int(head["count"]) or not entry.isdigit():
        raise NoMetadata(f"object {number} is not in the table")
    start = int(entry)
    return pdf[start : pdf.index(b"endobj", start)]


def _with_declaration(xmp: str) -> str:
    values = "".join(f"<fx:{name}>{value}</fx:{name}>" for name, value in _VALUES.items())
    facts = f'<rdf:Description rdf:about="" xmlns:fx="{_SPACE}">{values}</rdf:Description>'
    xmp, described = re.subn(r"(</rdf:Bag></pdfaExtension:schemas>)", lambda end: _schema() + end[1], xmp)
    xmp, stated = re.subn(r"(</rdf:RDF>)", lambda end: facts + end[1], xmp)
    if (described, stated) != (1, 1):
        raise NoMetadata(
            f"{described} lists of extension schemas and {stated} ends of RDF where one of each was expected"
        )
    return xmp


def _schema() -> str:
    """PDF/A wants every foreign property described (ISO 19005-3 §6.6.2.3)."""
    each = "".join(
        '<rdf:li rdf:parseType="Resource"><pdfaProperty:category>external</pdfaProperty:category>'
        f"<pdfaProperty:description>{words}</pdfaProperty:description>"
        f"<pdfaProperty:name>{name}</pdfaProperty:name><pdfaProperty:valueType>Text</pdfaProperty:valueType></rdf:li>"
        for name, words in _PROPERTIES
    )
    return (
        '<rdf:li rdf:parseType="Resource"><pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema>'
        f"<pdfaSchema:namespaceURI>{_SPACE}</pdfaSchema:namespaceURI><pdfaSchema:prefix>fx</pdfaSchema:prefix>"
        f"<pdfaSchema:property><rdf:Seq>{each}</rdf:Seq></pdfaSchema:property></rdf:li>"
    )
