"""Which addresses on the internet a stranger may have us call (S21). Pure rules, no network."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

_LONGEST: Final = 2048
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}

# Only 2000::/3 is handed out as global unicast (IANA IPv6 address space), and these parts of it lead elsewhere:
# protocol assignments with Teredo (RFC 2928), documentation (RFC 3849, RFC 9637), 6to4 (retired by RFC 7526).
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NOT_A_HOST_V6: Final = tuple(IPv6Network(each) for each in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
# Protocol assignments (RFC 6890), of which older Pythons know only parts, and the retired 6to4 relays (RFC 7526).
_NOT_A_HOST_V4: Final = tuple(IPv4Network(each) for each in ("192.0.0.0/24", "192.88.99.0/24"))
# On a network without IPv4 its own resolver answers with these, the IPv4 address in the last 32 bits (RFC 6052).
_NAT64: Final = IPv6Network("64:ff9b::/96")


class Refused(ValueError):
    """An address that may not be called; the message tells its owner why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address: `host` in lower case without brackets or final dot, `path` with its query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def literal(self) -> bool:
        """Whether the host is an IP address rather than a name."""
        return ":" in self.host or _ends_in_a_number(self.host)

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse(url: str) -> Target:
    """Take a URL apart in the one way all of our code then uses. Raises Refused.

    Whatever two parsers could read differently is refused: control characters, backslashes, letters outside
    ASCII, escapes in the host, a user name, numbers that are not a plain dotted IPv4 address.
    """
    if len(url) > _LONGEST or not all("!" <= char <= "~" for char in url) or "\\" in url:
        raise Refused("Use at most 2,048 plain ASCII characters without spaces; write other letters as xn--… or %XX.")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise Refused("This is not an address; it should look like https://hooks.example.com/blp.") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise Refused("Use https, so that nobody on the way can read or change what is sent.")
    if not host or "@" in parts.netloc or ("[" in parts.netloc) != (":" in host):
        raise Refused("Give a host name, without a user name or password in the address.")
    if port == 0:
        raise Refused("There is no port 0; leave the port out for the usual one.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, _plain_host(host), port or _DEFAULT_PORTS[parts.scheme], path)


def _plain_host(host: str) -> str:
    impossible = Refused("This host name cannot exist; check its spelling.")
    if ":" in host:
        try:
            ip = IPv6Address(host)
        except ValueError:
            raise impossible from None
        if ip.scope_id is not None:  # meaningful on one link only
            raise impossible
        return str(ip)
    host = host.removesuffix(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise impossible
    if _ends_in_a_number(host):
        try:
            return str(IPv4Address(host))  # strict: four decimal parts, no leading zeros
        except ValueError:
            raise Refused("Write an IP address as four plain decimal numbers, such as 203.0.113.7.") from None
    return host


def _ends_in_a_number(host: str) -> bool:
    """Resolvers read 2130706433, 0x7f.1 and 0177.0.0.1 as addresses; a name's last label is never a number."""
    last = host.rpartition(".")[2]
    return last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last) is not None


def _unwrapped(address: str) -> IPv4Address | IPv6Address:
    """The address that traffic ends up at: an IPv4 address inside an IPv6 one is what counts."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return ip.ipv4_mapped
        if ip in _NAT64:
            return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip


def is_public(address: str) -> bool:
    """Whether an IP address is a host on the public internet."""
    if "%" in address:  # a zone: meaningful on one link only
        return False
    ip = _unwrapped(address)
    if isinstance(ip, IPv4Address):
        return ip.is_global and not ip.is_multicast and not any(ip in each for each in _NOT_A_HOST_V4)
    return ip in _GLOBAL_UNICAST and not any(ip in each for each in _NOT_A_HOST_V6)


def is_loopback(address: str) -> bool:
    return "%" not in address and _unwrapped(address).is_loopback


def permitted(target: Target, addresses: Sequence[str], *, allow_loopback: bool) -> Sequence[str]:
    """The addresses a name led to, if every one of them may be called. Raises Refused.

    One private address among public ones refuses the name: which one is used is not the caller's to choose.
    """
    if not addresses:
        raise Refused(f"The name {target.host} is not known.")
    if allow_loopback and all(is_loopback(each) for each in addresses):
        return addresses
    if not all(is_public(each) for each in addresses):
        raise Refused("This name leads to an address inside a private network; use one that is public.")
    if target.scheme != "https":
        raise Refused("Use https, so that nobody on the way can read or change what is sent.")
    return addresses
