"""Which sockets processes listen on, by Linux's /proc."""
from __future__ import annotations

import ipaddress
import os
import pathlib
import re
import subprocess
from collections.abc import Iterable

_LISTEN = '0A'


def processes_of_session(leader: int) -> dict[int, str]:
    """Return the processes of a session, by their ids, with the names of their programs."""
    rows = subprocess.run(['ps', '-e', '-o', 'pid=,sid=,comm='], check=True, capture_output=True, text=True).stdout
    found = (row.split(maxsplit=2) for row in rows.splitlines())
    return {int(pid): name for pid, session, name in found if int(session) == leader}


def listening(processes: Iterable[int]) -> set[tuple[int, str, int]]:
    """Return process, address and port of each TCP socket on which one of the processes listens."""
    bound = _bound()
    return {(process, *bound[inode]) for process in processes for inode in _sockets(process) if inode in bound}


def is_loopback(address: str) -> bool:
    """Return whether only this machine reaches that address."""
    return ipaddress.ip_address(address).is_loopback


def _sockets(process: int) -> set[str]:
    links = set()
    for handle in pathlib.Path(f'/proc/{process}/fd').glob('*'):
        try:
            links.add(os.readlink(handle))
        except FileNotFoundError:  # closed meanwhile
            continue
    return {found[1] for link in links if (found := re.fullmatch(r'socket:\[(\d+)\]', link))}


def _bound() -> dict[str, tuple[str, int]]:
    """Return address and port of all TCP sockets that listen, by inode."""
    found = {}
    for table in ('tcp', 'tcp6'):
        for row in pathlib.Path(f'/proc/net/{table}').read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == _LISTEN:
                address, port = fields[1].split(':')
                found[fields[9]] = str(_address(address)), int(port, 16)
    return found


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Read an address of /proc: words of four bytes, each in the order of the machine."""
    words = [bytes.fromhex(text[at:at + 8])[::-1] for at in range(0, len(text), 8)]
    address = ipaddress.ip_address(b''.join(words))
    return getattr(address, 'ipv4_mapped', None) or address
