"""The one guarded way out to an address that a user names.

What decides is not the URL's text but the address that is about to be dialled: the guard makes the sockets.
Literals in any spelling, redirects, names that change their answer, every try of Happy Eyeballs pass it.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from rushes import __version__
from rushes.errors import BadSetting, InputBlocked, InputTooLarge, InputUnreachable, StorageFull

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network

_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_READ_BYTES = 256 * 1024
_WRITE_BYTES = 2**20
_ANSWER_BYTES = 2000
_HOSTS_KEPT = 16

# Own ranges beside ``is_global``: 3.11.7 calls 192.0.0.192 (Oracle's metadata service), multicast, NAT64 and
# IPv4-compatible addresses global. Forms that carry IPv4 are refused whole, not unwrapped. A NAT64 prefix cut
# from a network's own global range looks like any other and cannot be known here (RFC 6052).
_DENIED = tuple(
    ip_network(block)
    for line in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24",
        "192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24",
        "224.0.0.0/4 240.0.0.0/4",
        "168.63.129.16",  # public by number, but Azure's host answers its guests there
        "::/3 4000::/2 8000::/1",  # all but 2000::/3: mapped, NAT64, fc00::/7, fe80::/10, fec0::/10, ff00::/8
        "2001::/23 2001:db8::/32 2002::/16 3ffe::/16 3fff::/20",  # Teredo (in the first), 6to4, documentation
    )
    for block in line.split()
)

# A GET cannot smuggle a line into another protocol (what is not printable is quoted), but it can make us
# knock on strangers' mail and shell ports. Below 1024 only the web's own; above, all but what the Fetch
# standard's "port blocking" names (NFS, SIP, X11, IRC …): links on 8080 or MinIO's 9000 are common.
_BAD_PORTS = frozenset(range(1024)) - {80, 443} | {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061}
_BAD_PORTS |= {6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080}

# What whoever named an address is asked for instead.
_PLEAS = {"file": "Send a link", "webhook": "Name a webhook"}

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN = re.compile(r"[!-~]+")
# A name that ends in a number is an address to some readers (127.1, 0x7f.1, 127.0.0.1.); to us it is neither.
_NAME = re.compile(r"(?ai)(?!.{255})([\w-]{1,63}\.)*(?!(\d+|0x[\da-f]*)\.?$)[\w-]{1,63}\.?")

# The first that fits says what happened.
_FAILURES: tuple[tuple[type[aiohttp.ClientError], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "its name was not found"),
    (aiohttp.ClientSSLError, "no secure connection could be made with it"),
    (aiohttp.ServerTimeoutError, "it stayed silent for too long"),
    (aiohttp.ClientConnectorError, "no connection could be made with it"),
    (aiohttp.ClientPayloadError, "the file was cut off on the way"),
    (aiohttp.ServerDisconnectedError, "it hung up"),
    (aiohttp.ClientError, "its answer could not be read"),
)


def _open_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    return socket.socket(info[0], info[1], info[2])


class Answer(NamedTuple):
    """What a receiver said."""

    status: int
    beginning: str
    """At most 2,000 bytes of the body, as one printable line."""


class Lookups(AbstractResolver):
    """The system's resolver in threads of its own: names whose servers stay silent make nobody else wait for one."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, "lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Every address of a name."""
        loop = asyncio.get_running_loop()
        ask = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=flags)
            for kind, _, protocol, _, address in await loop.run_in_executor(self._threads, ask)
        ]

    async def close(self) -> None:
        """Ask no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Fetcher:
    """Downloads what users name, and posts to it: http and https, public addresses, within limits.

    ``allow_private_hosts`` are the exceptions for closed networks. A host name, as the URL has it, may lead
    anywhere; an address or a CIDR block may be dialled, whatever name led there; on any port. An exception
    holds for one hop: a redirect from an allowed host to another private one is refused.

    Each hop has a session of its own: its guard knows that hop's exception and no other, no connection serves
    a second request, no cookie is kept. It costs a fraction of a millisecond. With ``keep_connections`` a host's
    session serves all its files, for whoever fetches thousands from a few hosts.

    ``idle_seconds`` bounds each wait for a connection and for the next byte. ``resolver`` answers names, the
    system's by default; ``open_socket`` makes the sockets that the guard lets through.

    Raises:
        BadSetting: an exception is neither a host name nor an address nor a CIDR block.
    """

    def __init__(
        self,
        allow_private_hosts: frozenset[str] = frozenset(),
        *,
        idle_seconds: float = 20.0,
        keep_connections: bool = False,
        resolver: AbstractResolver | None = None,
        open_socket: aiohttp.SocketFactoryType = _open_socket,
    ) -> None:
        self._names, self._networks = _exceptions(allow_private_hosts)
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=idle_seconds, sock_read=idle_seconds)
        self._resolver = resolver
        self._open_socket = open_socket
        self._kept: dict[str, tuple[_Guard, aiohttp.ClientSession]] = {}
        self._hosts_kept = _HOSTS_KEPT if keep_connections else 0

    async def fetch(self, url: str, to: Path, *, max_bytes: int, seconds: float) -> None:
        """Writes the file at ``url`` into ``to``, unpacked, within ``seconds`` and 5 redirects.

        After an error ``to`` may be absent or hold a part. A URL may be signed: it is sent as it is spelled,
        and the errors repeat no more of it than its host.

        Raises:
            InputBlocked: it leads where we do not dial: its scheme, address, port or spelling.
            InputUnreachable: it gave no whole file: DNS, refused, silent, out of time, not a 200 (its ``status`` is
                there then), cut off.
            InputTooLarge: it announces or has more than ``max_bytes`` bytes.
            StorageFull: there is no room for ``to``.
        """
        target = checked(url)
        try:
            async with asyncio.timeout(seconds):
                await self._follow(target, to, max_bytes)
        except TimeoutError:
            raise _unreachable(target, f"it took longer than {seconds:g} seconds") from None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, seconds: float) -> Answer:
        """Sends ``body``; what was answered within ``seconds``. A redirect is an answer, and not followed.

        Once there is a status it counts, whatever becomes of the body behind it. Errors as :meth:`fetch` has them.

        Raises:
            InputBlocked: it leads where we do not dial.
            InputUnreachable: it gave no answer.
        """
        target = checked(url, what="webhook")
        guard = self._guard(target, what="webhook")
        end = asyncio.get_running_loop().time() + seconds
        try:
            # Nothing is unpacked: a few bytes can hold gigabytes.
            async with self._session(guard, read_bufsize=_ANSWER_BYTES, auto_decompress=False) as session:
                async with asyncio.timeout_at(end):
                    answer = await session.post(target, data=body, headers=headers, allow_redirects=False)
                async with answer:
                    return Answer(answer.status, await _beginning(answer, end))
        except aiohttp.ClientError as error:
            raise _failure(error, target, guard, _unanswered) from None
        except TimeoutError:
            raise _unanswered(target, f"it did not answer within {seconds:g} seconds") from None

    async def close(self) -> None:
        """Closes the connections it has kept, and the resolver it was given."""
        for _, session in self._kept.values():
            await session.close()
        if self._resolver is not None:
            await self._resolver.close()

    async def _follow(self, target: URL, to: Path, max_bytes: int) -> None:
        hop = target
        for _ in range(1 + _MAX_REDIRECTS):
            onward = await self._hop(hop, to, max_bytes)
            if onward is None:
                return
            hop = onward
        raise _unreachable(target, f"it redirects more than {_MAX_REDIRECTS} times")

    async def _hop(self, target: URL, to: Path, max_bytes: int) -> URL | None:
        """Saves the file, or says where it is instead."""
        async with self._visit(target) as (guard, session):
            try:
                async with session.get(target, allow_redirects=False) as answer:
                    if answer.status in _REDIRECTS and "Location" in answer.headers:
                        return checked(answer.headers["Location"], target)
                    await save(answer, to, max_bytes)
            except aiohttp.ClientError as error:
                # Not chained: aiohttp's own words repeat the URL, query and all, and would carry it into a log.
                raise _failure(error, target, guard, _unreachable) from None
        return None

    @asynccontextmanager
    async def _visit(self, target: URL) -> AsyncIterator[tuple[_Guard, aiohttp.ClientSession]]:
        host = _host(target)
        if host not in self._kept and len(self._kept) >= self._hosts_kept:
            guard = self._guard(target)
            async with self._session(guard) as session:
                yield guard, session
            return
        if host not in self._kept:
            guard = self._guard(target)
            self._kept[host] = guard, self._session(guard, close_after=False)
        yield self._kept[host]

    def _guard(self, target: URL, what: str = "file") -> _Guard:
        excepted = _host(target).rstrip(".") in self._names
        return _Guard(_host(target), excepted, self._networks, self._open_socket, what)

    def _session(
        self, guard: _Guard, *, read_bufsize: int = _READ_BYTES, auto_decompress: bool = True, close_after: bool = True
    ) -> aiohttp.ClientSession:
        # The system's resolver, not aiodns where that is installed: closed networks live by /etc/hosts.
        resolver = self._resolver or aiohttp.ThreadedResolver()
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                socket_factory=guard, resolver=resolver, use_dns_cache=False, force_close=close_after
            ),
            timeout=self._timeout,
            headers={"User-Agent": f"Rushes/{__version__}", "Accept-Encoding": "identity"},
            read_bufsize=read_bufsize,
            auto_decompress=auto_decompress,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # a proxy from the environment would dial for us, past the guard
        )


@dataclass
class _Guard:
    """Makes the sockets of one hop. It keeps a refusal: to aiohttp that is one failed try among others."""

    host: str
    excepted: bool
    networks: tuple[_Network, ...]
    open_socket: aiohttp.SocketFactoryType
    what: str
    refusal: InputBlocked | None = None

    def __call__(self, info: aiohttp.AddrInfoType) -> socket.socket:
        address, port = _parsed(info[4][0]), info[4][1]
        if not self.excepted and not _within(self.networks, address):
            self._judge(address, port)
        return self.open_socket(info)

    def _judge(self, address: _Address, port: int) -> None:
        if sentence := _objection(self.host, address, port, _PLEAS[self.what]):
            self.refusal = InputBlocked(sentence)
            raise OSError(errno.EACCES, "refused by the guard")


def _parsed(text: str) -> _Address:
    try:
        return ip_address(text)
    except ValueError:
        return ip_address("::")  # a resolver's answer that is no address is refused as the unspecified one


def _objection(host: str, address: _Address, port: int, plea: str) -> str | None:
    if not address.is_global or _within(_DENIED, address):
        # The address stays unsaid: who cannot see a network should not learn its addresses here.
        return (
            f"{host} is a private or reserved address, or leads to one. {plea} that is open to all,"
            " or ask the operator to list the host in RUSHES_ALLOW_PRIVATE_HOSTS."
        )
    if port in _BAD_PORTS:
        return f"Port {port} of {host} is not one that the web is served on. {plea} on port 80 or 443."
    return None


def _within(networks: tuple[_Network, ...], address: _Address) -> bool:
    return any(address in network for network in networks)


def checked(text: str, base: URL | None = None, what: str = "file") -> URL:
    """The URL of a ``file`` or a ``webhook`` in ``text``, seen from ``base``.

    Raises:
        InputBlocked: its form leaves more than one way to read where it leads, or shows a password.
    """
    try:
        # Only what needs quoting is quoted: yarl tidies the rest too, and breaks links signed as spelled.
        url = URL(text, encoded=_PLAIN.fullmatch(text) is not None)
        url = base.join(url) if base else url
        host = _host(url)  # yarl reads a URL's parts when they are asked for, and complains only then
    except ValueError:
        raise InputBlocked(f"The address of the {what} is not a URL. Check its spelling.") from None
    if url.scheme not in ("http", "https"):
        raise InputBlocked(f"The address of the {what} is not an http or https URL. Send one that is.")
    if _CONTROL.search(text) or not _is_plain(host):
        raise InputBlocked(f"The URL of the {what} does not name its host plainly. Write it out.")
    if url.raw_user is not None or url.raw_password is not None:
        # A job keeps and shows its URLs: a password in one would be written down and read by every key.
        raise InputBlocked(f"The URL at {host} holds a name or a password. {_PLEAS[what]} that needs neither.")
    return url


def _host(url: URL) -> str:
    return (url.raw_host or "").lower()


def _is_plain(host: str) -> bool:
    try:
        return bool(ip_address(host)) and "%" not in host  # a zone chooses a network card
    except ValueError:
        return _NAME.fullmatch(host) is not None


async def save(answer: aiohttp.ClientResponse, to: Path, max_bytes: int) -> None:
    """Write what is answered to ``to`` as it comes; raises what :meth:`Fetcher.fetch` does."""
    if answer.status != HTTPStatus.OK:
        error = _unreachable(answer.url, f"it answered {answer.status}")
        error.status, wait = answer.status, answer.headers.get("Retry-After", "")
        error.retry_after = float(wait) if wait.isdecimal() else None
        raise error
    if (answer.content_length or 0) > max_bytes:
        raise _too_large(answer.url, max_bytes)
    try:
        await _write(answer, to, max_bytes)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StorageFull("There is no room to download a file. Free some space on the server.") from None


async def _write(answer: aiohttp.ClientResponse, to: Path, max_bytes: int) -> None:
    received, held = 0, bytearray()
    # Opened here, not in a thread: a fetch that is cancelled meanwhile would leave the file open.
    with to.open("wb") as file:
        async for chunk in answer.content.iter_any():
            received += len(chunk)
            if received > max_bytes:
                raise _too_large(answer.url, max_bytes)
            held += chunk
            if len(held) >= _WRITE_BYTES:
                await asyncio.to_thread(file.write, held)
                held = bytearray()
        await asyncio.to_thread(file.write, held)


async def _beginning(answer: aiohttp.ClientResponse, end: float) -> str:
    """What comes of the body until it is enough, late or broken off, as one line that can be stored and printed."""
    received = b""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout_at(end):
            while missing := _ANSWER_BYTES - len(received):
                if not (chunk := await answer.content.read(missing)):
                    break
                received += chunk
    text = received.decode(errors="replace")
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _failure(
    error: aiohttp.ClientError, target: URL, guard: _Guard, told: Callable[[URL, str], InputUnreachable]
) -> InputBlocked | InputUnreachable:
    if guard.refusal is not None and isinstance(error, aiohttp.ClientConnectorError):
        return guard.refusal
    return told(target, next(why for kind, why in _FAILURES if isinstance(error, kind)))


def _unreachable(target: URL, why: str) -> InputUnreachable:
    sentence = f"The file at {_host(target)} was not fetched: {why}. Check the link and send it again."
    return InputUnreachable(sentence)


def _unanswered(target: URL, why: str) -> InputUnreachable:
    return InputUnreachable(f"The webhook at {_host(target)} was not reached: {why}.")


def _too_large(target: URL, max_bytes: int) -> InputTooLarge:
    return InputTooLarge(f"The file at {_host(target)} has more than {max_bytes:,} bytes. Send a smaller one.")


def _exceptions(entries: Iterable[str]) -> tuple[frozenset[str], tuple[_Network, ...]]:
    names, networks = set(), []
    for entry in entries:
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            names.add(_name(entry))
    return frozenset(names), tuple(networks)


def _name(entry: str) -> str:
    try:
        name = _host(URL.build(scheme="http", host=entry)).rstrip(".")
    except ValueError:
        name = ""
    if not _NAME.fullmatch(name):
        raise BadSetting(f"RUSHES_ALLOW_PRIVATE_HOSTS: {entry!r} is no host name, address or CIDR block.")
    return name
