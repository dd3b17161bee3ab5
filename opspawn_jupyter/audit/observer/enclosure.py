"""Starts a kernel where the original directory cannot be written, and the network not be reached.

``unshare -rm[n] python -I -S enclosure.py PROTECTED ALLOWED HIDES_NETWORK -- COMMAND …``: runs in
namespaces of its own (namespaces(7)), which need no root where the system lets users have them.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys

_BIND, _RECURSIVE, _REMOUNT, _READ_ONLY = 4096, 16384, 32, 1
#: netdevice(7)
_SET_FLAGS, _UP = 0x8914, 1


def main(protected: str, allowed: str, hides_network: str, *command: str) -> None:
    """Arrange the namespaces and become the command."""
    libc = ctypes.CDLL(None, use_errno=True)
    _mount(libc, protected, _BIND | _RECURSIVE)
    if allowed.startswith(protected.rstrip("/") + "/"):
        _mount(libc, allowed, _BIND | _RECURSIVE)
    _mount(libc, protected, _BIND | _REMOUNT | _READ_ONLY)
    if hides_network == "yes":
        _raise_loopback()
    os.chdir(os.getcwd())  # into the new mount, not what lies below it
    os.execvp(command[0], command)  # noqa: S606  # the kernel's own command


def _mount(libc: ctypes.CDLL, path: str, flags: int) -> None:
    name = os.fsencode(path)
    if libc.mount(name, name, None, flags, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)


def _raise_loopback() -> None:
    """Programs that talk to themselves go on."""
    request = struct.pack("16sh", b"lo", _UP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, request)


if __name__ == "__main__":
    main(*sys.argv[1:4], *sys.argv[5:])
