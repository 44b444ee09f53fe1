"""Files of the plain shape."""

from app.screening.list_files import PLAIN_COLUMNS


def plain(*rows: str) -> bytes:
    """One line each: `number,type,name,alt,programs,countries,from,to,url`."""
    return "\n".join([",".join(PLAIN_COLUMNS), *rows, ""]).encode()
