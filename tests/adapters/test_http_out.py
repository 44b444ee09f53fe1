"""The way out, attacked: what it refuses, what it connects to, and when it gives up (S21)."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from time import monotonic, sleep

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.http_out import GuardedHttpOut
from app.adapters.http_out.addresses import Refused, is_public, parse
from app.core.db import Database, NetworkInsideTransaction

PUBLIC = "93.184.216.34"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def nowhere(_host: str, _port: int) -> list[str]:
    raise AssertionError("this address must be refused before it is looked up")


def leads_to(*addresses: str) -> Callable[[str, int], list[str]]:
    return lambda _host, _port: list(addresses)


def whole_request(connection: socket.socket) -> bytes:
    """Head and body, or less if the sender would send more than a test reads."""
    taken = b""
    while b"\r\n\r\n" not in taken:
        taken += connection.recv(65536)
    head, _, body = taken.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length <= 65536:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


class Peer:
    """A TCP server that hands each connection to `behave` and keeps the requests it read."""

    def __init__(self, behave: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self._behave, self._tls = behave, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, raw: socket.socket) -> None:
        try:
            with self._tls.wrap_socket(raw, server_side=True) if self._tls else raw as connection:
                self.requests.append(whole_request(connection))
                self._behave(connection)
        except OSError:
            return  # the client hung up on us, which is what some of these tests are about

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # ends the accept that another thread waits in
        self._listener.close()


@contextmanager
def peer(behave: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Iterator[Peer]:
    running = Peer(behave, tls)
    try:
        yield running
    finally:
        running.close()


def answering(answer: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(answer)


def dripping(first: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(drop)
            sleep(0.05)

    return behave


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://10.1.2.3/", "https://192.168.0.1/", "https://172.16.0.9/",
        "https://169.254.169.254/latest/meta-data", "https://100.64.0.1/", "https://0.0.0.0/", "https://255.255.255.255/",
        "https://224.0.0.1/", "https://192.0.0.8/", "https://192.88.99.1/", "https://198.18.0.1/", "https://240.0.0.1/",
        "https://[::1]/", "https://[::]/", "https://[fe80::1]/", "https://[fd00::1]/", "https://[ff02::1]/",
        "https://[fec0::1]/", "https://[2001:db8::1]/", "https://[3fff::1]/", "https://[100::1]/",
        # IPv4 inside IPv6: mapped, compatible, NAT64 (both prefixes), 6to4, Teredo
        "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/", "https://[64:ff9b::127.0.0.1]/",
        "https://[64:ff9b::a9fe:a9fe]/", "https://[64:ff9b:1::7f00:1]/", "https://[2002:7f00:1::]/",
        "https://[2001:0:7f00:1::]/",
    ],
)  # fmt: skip
def test_addresses_that_are_not_on_the_public_internet_are_refused(url: str) -> None:
    refusal = GuardedHttpOut(allow_loopback=False, resolve=nowhere).refusal(url)
    assert refusal == "This name leads to an address inside a private network; use one that is public."


@pytest.mark.parametrize(
    "url",
    [
        # decimal, octal, hexadecimal, short and padded forms that resolvers turn into 127.0.0.1
        "https://2130706433/", "https://0177.0.0.1/", "https://0x7f.0.0.1/", "https://0x7f000001/", "https://127.1/",
        "https://127.0.0.01/", "https://127.0.0.1.1/", "https://0x/", "https://256.1.1.1/", "https://1.2.3.4.5/",
        "https://2130706433./",
        # two parsers, two readings
        "https://good.example\\@127.0.0.1/", "https://good.example@127.0.0.1/", "https://user:pw@good.example/",
        "https://good.example#@127.0.0.1:80@x/", "https://127.0.0.1%2f.good.example/", "https://[::1%25lo]/",
        "https://[fe80::1%eth0]/", "https://[v1.x]/", "https://[::1/", "https://good.example:99999/", "https://x:0/",
        "https:///nohost", "https://..", "https://.", "https://a..b/", "https://-a.example/", "https://ex%61mple.com/",
        "https://good.example/\r\nX: y", "https://good.example/ x", "https://good\u3002example/", "https://ⓛocalhost/",
        "https://" + "a" * 64 + ".example/", "https://a.example/" + "x" * 2100, "\thttps://good.example/",
        # other schemes
        "ftp://good.example/", "file:///etc/passwd", "gopher://good.example/", "//good.example/", "good.example", "",
    ],
)  # fmt: skip
def test_addresses_that_could_be_read_in_two_ways_are_refused_before_any_lookup(url: str) -> None:
    with_hash = "#" in url  # a fragment is never sent, so what follows it is not part of the address
    resolve = leads_to(PUBLIC) if with_hash else nowhere
    out = GuardedHttpOut(allow_loopback=False, resolve=resolve)
    assert (out.refusal(url) is None) is with_hash


@pytest.mark.parametrize("trailing", ["localhost.", "metadata.google.internal.", "LOCALHOST"])
def test_a_name_is_judged_by_every_address_it_leads_to(trailing: str) -> None:
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return [PUBLIC, "10.0.0.7"]

    assert GuardedHttpOut(allow_loopback=False, resolve=resolve).refusal(f"https://{trailing}/") is not None
    assert asked == [trailing.lower().rstrip(".")]


@pytest.mark.parametrize("address", [PUBLIC, "2606:4700::6810:85e5", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"])
def test_public_addresses_are_allowed_also_behind_nat64(address: str) -> None:
    out = GuardedHttpOut(allow_loopback=False, resolve=leads_to(address))
    assert out.refusal("https://hooks.example.com/blp?team=7") is None


def test_plain_http_is_only_for_the_sandbox_and_only_to_itself() -> None:
    assert GuardedHttpOut(allow_loopback=False, resolve=leads_to(PUBLIC)).refusal("http://hooks.example.com/")
    sandbox = GuardedHttpOut(allow_loopback=True, resolve=leads_to(PUBLIC))
    assert sandbox.refusal("http://hooks.example.com/") is not None
    assert sandbox.refusal("http://127.0.0.1:8000/sandbox/hooks/a") is None
    assert sandbox.refusal("https://10.0.0.7/") is not None
    mixed = GuardedHttpOut(allow_loopback=True, resolve=leads_to("127.0.0.1", "10.0.0.7"))
    assert mixed.refusal("https://hooks.example.com/") is not None


def test_an_unknown_name_and_a_resolver_that_hangs_are_refusals_not_failures() -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    def hangs(_host: str, _port: int) -> list[str]:
        sleep(5)
        return [PUBLIC]

    gone = GuardedHttpOut(allow_loopback=False, resolve=unknown)
    assert gone.refusal("https://gone.example/") == "The name gone.example is not known."
    started = monotonic()
    assert GuardedHttpOut(allow_loopback=False, resolve=hangs, seconds=0.2).refusal("https://slow.example/")
    assert GuardedHttpOut(allow_loopback=False, resolve=hangs, seconds=0.2).post("https://slow.example/", b"", {}).error
    assert monotonic() - started < 2


@given(st.ip_addresses(v=4))
def test_every_disguise_of_an_ipv4_address_is_judged_like_the_address(ip: IPv4Address) -> None:
    for prefix in (0xFFFF << 32, 0x64_FF9B << 96):
        assert is_public(str(IPv6Address(prefix | int(ip)))) == is_public(str(ip))
    assert not is_public(str(IPv6Address(int(ip))))


@given(st.text(max_size=60) | st.from_regex(r"https?://[ -~]{1,40}", fullmatch=True))
def test_any_text_is_either_a_target_or_refused(text: str) -> None:
    try:
        target = parse(text)
    except Refused:
        return
    assert target.path.startswith(("/", "?")) or target.path == "/"
    assert target.host == target.host.lower()
    assert not set(target.host) & set("@/\\?#% ")


def test_the_checked_address_is_the_one_connected_to_even_if_the_name_moves() -> None:
    turns = iter([["127.0.0.1"], ["10.0.0.7"]])

    def rebinding(_host: str, _port: int) -> list[str]:
        return next(turns)

    with peer(answering(OK)) as receiver:
        reply = GuardedHttpOut(allow_loopback=True, resolve=rebinding).post(
            f"http://rebind.example:{receiver.port}/in?a=1", b"{}", {"webhook-id": "evt_1"}
        )
    assert reply.status == 200
    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /in?a=1 HTTP/1.1\r\n")
    assert body == b"{}"
    assert f"host: rebind.example:{receiver.port}".encode() in head.lower()
    assert next(turns) == ["10.0.0.7"], "it was looked up more than once"


def test_a_dead_address_does_not_hide_a_living_one() -> None:
    with peer(answering(OK)) as receiver:
        out = GuardedHttpOut(allow_loopback=True, resolve=leads_to("::1", "127.0.0.1"))
        assert out.post(f"http://two.example:{receiver.port}/", b"", {}).status == 200


def test_redirects_are_an_answer_and_are_not_followed() -> None:
    with peer(answering(OK)) as inner:
        to = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{inner.port}/\r\nContent-Length: 0\r\n\r\n".encode()
        with peer(answering(to)) as outer:
            reply = GuardedHttpOut(allow_loopback=True).post(f"http://127.0.0.1:{outer.port}/", b"{}", {})
        assert (reply.status, inner.requests) == (302, [])


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with peer(answering(OK)) as proxy, peer(answering(OK)) as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert GuardedHttpOut(allow_loopback=True).post(f"http://127.0.0.1:{receiver.port}/", b"", {}).status == 200
        assert proxy.requests == []


@pytest.mark.parametrize(
    "behave",
    [
        dripping(b"", b"H"),  # a status line that never ends
        dripping(b"HTTP/1.1 200 OK\r\nX: ", b"a"),  # a header that never ends
        dripping(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),  # interim answers without a final one
        lambda _connection: sleep(5),
    ],
    ids=["status", "header", "interim", "silence"],
)
def test_the_deadline_is_for_the_whole_exchange_and_not_for_each_byte(behave: Callable[[socket.socket], None]) -> None:
    with peer(behave) as receiver:
        started = monotonic()
        reply = GuardedHttpOut(allow_loopback=True, seconds=0.5).post(f"http://127.0.0.1:{receiver.port}/", b"{}", {})
        assert (reply.status, reply.error) == (None, "It did not answer within 0.5 seconds.")
        assert 0.4 < monotonic() - started < 1.5


def test_a_peer_that_never_reads_cannot_hold_us() -> None:
    with peer(lambda _connection: sleep(5)) as receiver:
        started = monotonic()
        reply = GuardedHttpOut(allow_loopback=True, seconds=0.5).post(
            f"http://127.0.0.1:{receiver.port}/", b"x" * 50_000_000, {}
        )
        assert reply.status is None
        assert monotonic() - started < 1.5


def test_an_endless_body_is_cut_and_its_status_still_counts() -> None:
    with peer(dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 30_000)) as fast:
        assert GuardedHttpOut(allow_loopback=True).post(f"http://127.0.0.1:{fast.port}/", b"", {}).status == 200
    with peer(dripping(b"HTTP/1.1 202 Accepted\r\n\r\n", b"x")) as slow:
        started = monotonic()
        out = GuardedHttpOut(allow_loopback=True, seconds=0.5)
        assert out.post(f"http://127.0.0.1:{slow.port}/", b"", {}).status == 202
        assert monotonic() - started < 1.5


def test_a_flood_of_headers_is_not_taken_in() -> None:
    with peer(dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"a" * 20_000 + b"\r\n")) as receiver:
        reply = GuardedHttpOut(allow_loopback=True).post(f"http://127.0.0.1:{receiver.port}/", b"", {})
    assert reply.status is None
    assert reply.error in {"It answered with more than 64 KB before any status.", "What it answered is not HTTP."}


@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (answering(b"SSH-2.0-OpenSSH_9.6\r\nsecret banner\r\n"), "What it answered is not HTTP."),
        (answering(b""), "What it answered is not HTTP."),
        (answering(b"HTTP/1.1 500 No\r\nContent-Length: 11\r\n\r\nsecret page"), None),
    ],
)
def test_what_a_peer_says_is_never_repeated(behave: Callable[[socket.socket], None], words: str | None) -> None:
    with peer(behave) as receiver:
        reply = GuardedHttpOut(allow_loopback=True).post(f"http://127.0.0.1:{receiver.port}/", b"", {})
    assert reply.error == words
    assert "secret" not in repr(reply)


def test_a_closed_port_is_told_in_words() -> None:
    with peer(answering(OK)) as gone:
        port = gone.port
    reply = GuardedHttpOut(allow_loopback=True).post(f"http://127.0.0.1:{port}/", b"", {})
    assert (reply.status, reply.error) == (None, "It refused the connection.")


def certificate(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's TLS context for `name`, and a client's that trusts only it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(7)
        .not_valid_before(start).not_valid_after(start + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = folder / "peer.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + cert.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    client = ssl.create_default_context(cafile=str(pem))
    return server, client


def test_tls_checks_the_name_although_the_address_is_pinned(tmp_path: Path) -> None:
    server, trust = certificate("hooks.example.com", tmp_path)
    out = GuardedHttpOut(allow_loopback=True, resolve=leads_to("127.0.0.1"), trust=trust)
    strict = GuardedHttpOut(allow_loopback=True, resolve=leads_to("127.0.0.1"))
    with peer(answering(OK), server) as receiver:
        assert out.post(f"https://hooks.example.com:{receiver.port}/", b"{}", {}).status == 200
        assert out.post(f"https://hooks.example.com.:{receiver.port}/", b"{}", {}).status == 200
        other = out.post(f"https://other.example.com:{receiver.port}/", b"{}", {})
        assert other.error == "Its certificate could not be verified."
        unknown = strict.post(f"https://hooks.example.com:{receiver.port}/", b"{}", {})
        assert unknown.error == "Its certificate could not be verified."


def test_nothing_is_sent_while_a_transaction_holds_locks() -> None:
    database = Database("postgresql+psycopg://nobody@127.0.0.1:1/none", pool_size=1)
    out = GuardedHttpOut(allow_loopback=True, resolve=nowhere)
    with database.transaction():
        with pytest.raises(NetworkInsideTransaction):
            out.post("https://hooks.example.com/", b"", {})
        with pytest.raises(NetworkInsideTransaction):
            out.refusal("https://hooks.example.com/")
    database.dispose()
