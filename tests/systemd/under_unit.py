"""Runs a command under the system-call filters of a systemd unit, without systemd as the first process.

    python3 under_unit.py deploy/systemd/nunchi.service COMMAND [ARGUMENT…]

What SystemCallFilter= lets through is computed as systemd does it (systemd.exec(5)): the first line without `~` begins a list of
what is allowed, each further one adds to it, one with `~` takes away. Groups such as @resources are those of the installed
systemd. Everything else kills the process with SIGSYS, as in the unit. RestrictAddressFamilies= and MemoryDenyWriteExecute=
are system-call filters, too: these answer EAFNOSUPPORT and EPERM.
"""

import ctypes
import errno
import os
import re
import socket
import struct
import subprocess
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
# linux/seccomp.h, linux/audit.h
KILL_PROCESS, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# struct seccomp_data: the number, the architecture, the arguments (low halves, little-endian)
NUMBER, ARCHITECTURE, ARGUMENT = 0, 4, 16
LOAD, EQUAL, SET, RETURN = 0x20, 0x15, 0x45, 0x06


def settings(unit, key):
    with open(unit, encoding="utf-8") as lines:
        found = (re.fullmatch(rf"{key}=(.*)", line.strip()) for line in lines)
        return [match.group(1).strip() for match in found if match]


def group(name):
    """The system calls of a group, by `systemd-analyze syscall-filter`; groups hold groups."""
    output = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", name],
                            check=True, capture_output=True, text=True).stdout
    lines = [line.strip() for line in output.splitlines()[1:]]
    return expanded(line for line in lines if line and not line.startswith("#"))


def expanded(names):
    calls = set()
    for name in names:
        name = name.split(":")[0]
        calls |= group(name) if name.startswith("@") else {name}
    return calls


def allowed(lines):
    assert lines and not lines[0].startswith("~"), "the first SystemCallFilter= is no list of what is allowed"
    calls = group("@default")
    for line in lines:
        if line.startswith("~"):
            calls -= expanded(line[1:].split())
        else:
            calls |= expanded(line.split())
    # systemd lets its own last step through.
    return calls | {"execve"}


def numbers():
    """The numbers of this machine's system calls, as its C compiler knows them."""
    output = subprocess.run(["cc", "-E", "-dM", "-x", "c", "-include", "sys/syscall.h", "/dev/null"],
                            check=True, capture_output=True, text=True).stdout
    return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)\b", output)}


def program(unit):
    of = numbers()
    code = []
    emit = lambda operation, yes, no, value: code.append(struct.pack("=HBBI", operation, yes, no, value))
    def answer(value):
        emit(RETURN, 0, 0, value)
    emit(LOAD, 0, 0, ARCHITECTURE)
    emit(EQUAL, 1, 0, ARCHITECTURES[os.uname().machine])
    answer(KILL_PROCESS)
    families = [family for line in settings(unit, "RestrictAddressFamilies") for family in line.split()]
    if families:
        emit(LOAD, 0, 0, NUMBER)
        emit(EQUAL, 0, len(families) * 2 + 2, of["socket"])
        emit(LOAD, 0, 0, ARGUMENT)
        for family in families:
            emit(EQUAL, 0, 1, getattr(socket, family))
            answer(ALLOW)
        answer(ERRNO | errno.EAFNOSUPPORT)
    if settings(unit, "MemoryDenyWriteExecute") == ["yes"]:
        write, execute = 2, 4
        emit(LOAD, 0, 0, NUMBER)
        emit(EQUAL, 0, 4, of["mmap"])
        emit(LOAD, 0, 0, ARGUMENT + 2 * 8)
        emit(SET, 0, 2, write)
        emit(SET, 0, 1, execute)
        answer(ERRNO | errno.EPERM)
        emit(LOAD, 0, 0, NUMBER)
        emit(EQUAL, 0, 3, of["mprotect"])
        emit(LOAD, 0, 0, ARGUMENT + 2 * 8)
        emit(SET, 0, 1, execute)
        answer(ERRNO | errno.EPERM)
    emit(LOAD, 0, 0, NUMBER)
    for call in sorted(allowed(settings(unit, "SystemCallFilter"))):
        if call in of:
            emit(EQUAL, 0, 1, of[call])
            answer(ALLOW)
    answer(KILL_PROCESS)
    return code


def apply(code):
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
    libc = ctypes.CDLL(None, use_errno=True)
    filters = Program(len(code), b"".join(code))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filters)):
        sys.exit(f"the filter cannot be applied: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    unit, command = sys.argv[1], sys.argv[2:]
    apply(program(unit))
    os.execv(command[0], command)
