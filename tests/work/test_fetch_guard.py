"""The way out to users' URLs: what is never dialled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushes.errors import InputBlocked, InputUnreachable
from rushes.fetch import Fetcher
from tests.servers.files import FileServer, content
from tests.servers.internet import PUBLIC, Dials, Names

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    async with FileServer() as server:
        yield server


async def get(fetcher: Fetcher, url: str, to: Path, max_bytes: int = 1 << 20, seconds: float = 10) -> bytes:
    path = to / "file"
    await fetcher.fetch(url, path, max_bytes=max_bytes, seconds=seconds)
    return path.read_bytes()


HOSTILE = """
http://127.0.0.1:{port}/file/1
http://127.0.0.2:{port}/
http://127.1:{port}/file/1
http://127.0.1:{port}/
http://127.0.0.1.:{port}/
http://2130706433:{port}/
http://017700000001:{port}/
http://0x7f000001:{port}/
http://0X7F000001:{port}/
http://0x7f.0x0.0x0.0x1:{port}/
http://0x7f.1:{port}/
http://0177.0.0.1:{port}/
http://0177.0.0.01:{port}/
http://0000127.0.0.1:{port}/
http://127.0.0.0x1:{port}/
http://127.0.0.1.0x:{port}/
http://425.510.425.510:{port}/
http://8589934593:{port}/
http://0:{port}/
http://0.0.0.0:{port}/
http://0/
http://①②⑦.0.0.1:{port}/file/1
http://１２７.０.０.１:{port}/
http://127。0。0。1:{port}/
http://127．0．0．1:{port}/
http://١٢٧.0.0.1:{port}/
http://127%2e0%2e0%2e1:{port}/
http://%31%32%37.0.0.1:{port}/
http://localhost:{port}/file/1
http://LOCALHOST:{port}/
http://localhost.:{port}/
http://localhost..:{port}/
http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/
http://ⓛocalhost.:{port}/
http://foo.localhost:{port}/
http://localhost.localdomain:{port}/
http://ip6-localhost:{port}/
http://localtest.me:{port}/
http://127.0.0.1.nip.io:{port}/
http://intranet/
http://db.internal:{port}/
http://[::1]:{port}/file/1
http://[0:0:0:0:0:0:0:1]:{port}/
http://[::]:{port}/
http://[::ffff:127.0.0.1]:{port}/
http://[::ffff:7f00:1]:{port}/
http://[0:0:0:0:0:ffff:7f00:1]:{port}/
http://[::ﬀff:127.0.0.1]:{port}/
http://[::127.0.0.1]:{port}/
http://[::ffff:0:127.0.0.1]:{port}/
http://[2002:7f00:1::]:{port}/
http://[2002:7f00:1::1]:{port}/
http://[64:ff9b::127.0.0.1]:{port}/
http://[64:ff9b::7f00:1]:{port}/
http://[64:ff9b:1::127.0.0.1]:{port}/
http://[2001::80ff:fffe]:{port}/
http://[2001:0:7f00:1:0:0:80ff:fffe]:{port}/
http://[fe80::1%25lo]:{port}/
http://[fe80::1%lo]:{port}/
http://[fe80::1]:{port}/
http://[::1%25lo]:{port}/
http://[2606:4700:4700::1111%25lo]:{port}/
http://[fc00::1]/
http://[fd00:ec2::254]/latest/meta-data/
http://[fd20:ce::254]/computeMetadata/v1/
http://[fec0::1]/
http://[ff02::1]/
http://[100::1]/
http://[2001:db8::1]/
http://[3fff::1]/
http://[5f00::1]/
http://[4000::1]/
http://169.254.169.254/latest/meta-data/
http://169.254.170.2/v2/credentials
http://2852039166/latest/meta-data/
http://0xa9fea9fe/
http://0251.0376.0251.0376/
http://[::ffff:169.254.169.254]/
http://[64:ff9b::a9fe:a9fe]/
http://[2002:a9fe:a9fe::1]/
http://100.100.100.200/latest/meta-data/
http://192.0.0.192/opc/v2/
http://168.63.129.16/machine/
http://metadata.google.internal/computeMetadata/v1/
http://10.0.0.1/
http://172.16.0.1/
http://172.31.255.255/
http://192.168.1.1/
http://100.64.0.1/
http://192.0.0.1/
http://192.0.2.1/
http://198.18.0.1/
http://198.51.100.1/
http://203.0.113.1/
http://192.88.99.1/
http://224.0.0.1/
http://239.255.255.250/
http://240.0.0.1/
http://255.255.255.255/
http://0.1.2.3/
http://files.test@127.0.0.1:{port}/file/1
http://files.test:80@127.0.0.1:{port}/
http://127.0.0.1:{port}@files.test/
http://files.test%00@127.0.0.1:{port}/
http://user:secret@files.test/
http://user@files.test/
http://:secret@files.test/
http://a@b@127.0.0.1:{port}/
http://files.test\\@127.0.0.1:{port}/
http://127.0.0.1:{port}\\@files.test/
http://127.0.0.1\\.files.test:{port}/
http:\\\\127.0.0.1:{port}\\
http:/127.0.0.1:{port}/
http:127.0.0.1:{port}/
http:///127.0.0.1:{port}/
http:////127.0.0.1:{port}/
//127.0.0.1:{port}/
127.0.0.1:{port}/
http://127.0.0.1:{port}#@files.test/
http://127.0.0.1:{port}?@files.test/
http://127.0.0.1:{port};@files.test/
http://127.0.0.1 .files.test:{port}/
http://127.0.0.1<TAB>:{port}/
http://127.0.<TAB>0.1:{port}/
ht<NL>tp://127.0.0.1:{port}/
http://files.test/<CR><NL>Host: 127.0.0.1
http://files.test/<NUL>
<SP>http://127.0.0.1:{port}/
http://files.test:0/
http://127.0.0.1:0/
http://files.test:22/
http://files.test:25/
http://files.test:6000/
http://files.test:6667/
http://files.test:65536/
http://files.test:-1/
http://files.test:{port}:80/
http://files.test:８０x/
HTTP://127.0.0.1:{port}/
HtTpS://127.0.0.1:{port}/
https://127.0.0.1:{port}/
FILE:///etc/passwd
file://127.0.0.1/etc/passwd
ftp://127.0.0.1:{port}/
gopher://127.0.0.1:{port}/_GET
ws://127.0.0.1:{port}/
unix:///var/run/docker.sock
http+unix://%2Fvar%2Frun%2Fdocker.sock/
dict://127.0.0.1:{port}/
data:image/png;base64,AAAA
http://[127.0.0.1]:{port}/
http://[::1:{port}/
http://[::1]x:{port}/
http://a..b:{port}/
http://.:{port}/
http://-:{port}/
http://*:{port}/
http://a;b:{port}/
http://a,127.0.0.1:{port}/
http://<LONG>.test:{port}/
http://\udc80.test:{port}/
http://\u200clocalhost:{port}/
http://
http
<SP>
""".strip("\n").split("\n")
assert len(HOSTILE) >= 60

SPELLED = {"<TAB>": "\t", "<NL>": "\n", "<CR>": "\r", "<NUL>": "\0", "<SP>": " ", "<LONG>": "a" * 64}


@pytest.mark.parametrize("spelling", HOSTILE, ids=ascii)
async def test_a_hostile_url_is_never_dialled(server: FileServer, tmp_path: Path, spelling: str) -> None:
    """Every name that the test knows nothing of leads to the server, so that whatever slips through is seen."""
    for written, meant in SPELLED.items():
        spelling = spelling.replace(written, meant)
    dials = Dials(server.port)
    names = Names({"files.test": [PUBLIC], "metadata.google.internal": ["169.254.169.254"]}, "127.0.0.1")
    with pytest.raises(InputBlocked) as raised:
        await get(Fetcher(resolver=names, open_socket=dials), spelling.format(port=server.port), tmp_path)
    assert (dials.addresses, server.connections) == ([], 0)
    assert raised.value.sentence.endswith(".")


async def test_a_hostile_url_opens_no_real_socket(server: FileServer, tmp_path: Path) -> None:
    for spelling in HOSTILE[:60]:
        with pytest.raises(InputBlocked):
            await get(Fetcher(resolver=Names({}, "127.0.0.1")), spelling.format(port=server.port), tmp_path)
    assert server.connections == 0


@pytest.mark.parametrize(
    "answer", ["127.1", "localhost", "0x7f000001", "10.0.0.1 127.0.0.1", "fe80::1%lo", "::ffff:127.0.0.1 ::1"]
)
async def test_an_answer_is_judged_as_it_would_be_dialled(tmp_path: Path, answer: str) -> None:
    dials = Dials()
    with pytest.raises(InputBlocked):
        await get(Fetcher(resolver=Names({"files.test": [answer]}), open_socket=dials), "http://files.test/", tmp_path)
    assert dials.addresses == []


async def test_of_many_addresses_only_public_ones_are_dialled(server: FileServer, tmp_path: Path) -> None:
    dials = Dials(server.port)
    names = Names({"files.test": [f"::1 127.0.0.1 fd00::1 10.0.0.1 {PUBLIC} 192.168.0.1"]})
    fetcher = Fetcher(resolver=names, open_socket=dials)
    assert await get(fetcher, "http://files.test/file/5", tmp_path) == content(5)
    with pytest.raises(InputUnreachable, match="cut off"):  # that others were refused is not why it failed
        await get(fetcher, "http://files.test/cut", tmp_path)
    assert dials.addresses == [PUBLIC, PUBLIC]


async def test_a_name_that_turns_private_on_the_second_question(server: FileServer, tmp_path: Path) -> None:
    dials = Dials(server.port)
    fetcher = Fetcher(resolver=Names({"evil.test": [PUBLIC, PUBLIC, "127.0.0.1"]}), open_socket=dials)
    assert await get(fetcher, "http://evil.test/file/5", tmp_path) == content(5)
    with pytest.raises(InputBlocked):
        await get(fetcher, "http://evil.test/loop", tmp_path)
    assert dials.addresses == [PUBLIC, PUBLIC]


@pytest.mark.parametrize(
    "host",
    [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "223.255.255.255",
        "[2000::1]",
        "[2001:200::1]",
        "[2003::1]",
        "[2606:4700:4700::1111]",
        "[2a00:1450:4001:80b::200e]",
    ],
)
@pytest.mark.parametrize("port", [80, 443, 1024, 8080, 9000, 65535])
async def test_what_is_public_would_be_dialled(tmp_path: Path, host: str, port: int) -> None:
    dials = Dials()
    with pytest.raises(InputUnreachable):
        await get(Fetcher(open_socket=dials), f"http://{host}:{port}/", tmp_path)
    assert dials.addresses == [host.strip("[]")]


@pytest.mark.parametrize(
    "host", ["bücher.test", "a_b.test", "xn--bcher-kva.test", "3com.test", "0x7f.test", "test", "a" * 63, "0xfg"]
)
async def test_an_odd_name_is_still_a_name(server: FileServer, tmp_path: Path, host: str) -> None:
    fetcher = Fetcher(resolver=Names({}, PUBLIC), open_socket=Dials(server.port))
    assert await get(fetcher, f"http://{host}/file/5", tmp_path) == content(5)


DENIED = [
    block
    for line in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24",
        "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4",
        "168.63.129.16/32 ::/96 ::/128 ::1/128 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64",
        "2001::/32 2001::/23 2001:db8::/32 2002::/16 3ffe::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10",
        "ff00::/8",
    )
    for block in line.split()
]

WRAPPINGS = {
    "plain": lambda v4: str(IPv4Address(v4)),
    "mapped": lambda v4: f"::ffff:{IPv4Address(v4)}",
    "translated": lambda v4: f"::ffff:0:{IPv4Address(v4)}",
    "compatible": lambda v4: f"::{IPv4Address(v4)}",
    "6to4": lambda v4: str(IPv6Address(0x2002 << 112 | v4 << 80 | 1)),
    "Teredo client": lambda v4: str(IPv6Address(0x20010000 << 96 | 0x5DB8D822 << 64 | v4 ^ 0xFFFFFFFF)),
    "Teredo server": lambda v4: str(IPv6Address(0x20010000 << 96 | v4 << 64 | 1)),
    "NAT64": lambda v4: f"64:ff9b::{IPv4Address(v4)}",
    "local NAT64 /96": lambda v4: f"64:ff9b:1::{IPv4Address(v4)}",
    "local NAT64 /48": lambda v4: str(IPv6Address(0x64FF9B0001 << 80 | (v4 >> 16) << 64 | (v4 & 0xFFFF) << 40)),
    "ISATAP": lambda v4: f"fe80::5efe:{IPv4Address(v4)}",
}


@st.composite
def denied_addresses(draw: st.DrawFn) -> str:
    """An address in a denied network; an IPv4 one in any wrapping."""
    network = ip_network(draw(st.sampled_from(DENIED)))
    offset = draw(st.integers(0, network.num_addresses - 1))
    if network.version == 4:
        return WRAPPINGS[draw(st.sampled_from(sorted(WRAPPINGS)))](int(network.network_address) + offset)
    return str(network.network_address + offset)


@settings(max_examples=300, deadline=None)
@given(denied_addresses(), st.sampled_from(["spelled", "resolved"]))
def test_no_denied_address_is_dialled_in_any_wrapping(address: str, way: str) -> None:
    assert dialled(address, way) == (InputBlocked, [])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(set(WRAPPINGS) - {"plain"})))
def test_a_wrapped_address_is_refused_whatever_it_wraps(v4: int, wrapping: str) -> None:
    assert dialled(WRAPPINGS[wrapping](v4), "spelled") == (InputBlocked, [])


@settings(max_examples=100, deadline=None)
@given(st.ip_addresses(v=4) | st.ip_addresses(v=6, network="2400::/8"))
def test_every_other_address_would_be_dialled(address: IPv4Address | IPv6Address) -> None:
    refused = any(address in ip_network(network) for network in DENIED)
    expected = (InputBlocked, []) if refused else (InputUnreachable, [str(address)])
    assert dialled(str(address), "resolved") == expected


def dialled(address: str, way: str) -> tuple[type[Exception], list[str]]:
    """How a fetch from ``address`` ends, and what the guard let through to a network that leads nowhere."""
    dials = Dials()
    host = "name.test" if way == "resolved" else f"[{address}]" if ":" in address else address
    fetcher = Fetcher(resolver=Names({"name.test": [address]}), open_socket=dials)
    with pytest.raises((InputBlocked, InputUnreachable)) as raised:
        asyncio.run(fetcher.fetch(f"http://{host}/", Path("/nowhere"), max_bytes=1, seconds=10))
    return raised.type, dials.addresses
