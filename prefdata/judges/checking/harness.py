"""The program that runs a response's code and its tests; sandbox.py starts it, with a job on stdin.

It imports nothing of this package, for its text alone is handed to a new interpreter.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import resource
import struct
import sys
from typing import Any

NEW_USER, NEW_NETWORK, THREAD = 0x10000000, 0x40000000, 0x10000
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LOAD, AND, EQUAL, AT_LEAST, HAS_BITS, RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
STREAM, TYPE = 1, 0xF

# The audit architecture and the numbers of system calls, by machine.
CALLS: dict[str, tuple[int, dict[str, tuple[int, ...]]]] = {
    "x86_64": (
        0xC000003E,
        {
            "clone": (56,),
            "clone3": (435,),
            "socket": (41,),
            "socketpair": (53,),
            # kill, tgkill
            "signal": (62, 234),
            "prlimit": (302,),
            # fork, vfork, execve, execveat, ptrace, process_vm_readv, process_vm_writev, tkill,
            # rt_sigqueueinfo, rt_tgsigqueueinfo, unshare, setns, mount, bpf, userfaultfd, add_key,
            # request_key, keyctl, perf_event_open, pidfd_send_signal, io_uring_setup, pidfd_getfd
            "denied": (57, 58, 59, 322, 101, 310, 311, 200, 129, 297, 272, 308, 165, 321, 323, 248,
                       249, 250, 298, 424, 425, 438),
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "clone": (220,),
            "clone3": (435,),
            "socket": (198,),
            "socketpair": (199,),
            "signal": (129, 131),
            "prlimit": (261,),
            # The same; there is no fork and no vfork.
            "denied": (221, 281, 117, 270, 271, 130, 138, 240, 97, 268, 40, 280, 282, 217, 218, 219,
                       241, 424, 425, 438),
        },
    ),
}  # fmt: skip


def main() -> None:
    """Run the job and write its outcome, a line of JSON, to stdout."""
    job = json.loads(sys.stdin.buffer.read())
    isolated = job["isolated"] or cut_off()
    null, out = os.open(os.devnull, os.O_RDWR), os.dup(1)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    seconds = job["seconds"]
    limit("RLIMIT_CPU", seconds, seconds + 1)
    limit("RLIMIT_AS", job["memory"])
    limit("RLIMIT_FSIZE", job["bytes"])
    limit("RLIMIT_NOFILE", 64)
    limit("RLIMIT_CORE", 0)
    # There is no limit on processes: it would stop threads too, and nothing that root starts.
    filtered = filter_calls()
    tests, stopped = run(job["code"], job["tests"])
    outcome = {"nonce": job["nonce"], "tests": tests, "stopped": stopped}
    outcome["isolated"] = isolated or filtered
    os.write(out, b"\n" + json.dumps(outcome).encode() + b"\n")
    os._exit(0)


def run(code: str, tests: list[str]) -> tuple[list[str], str | None]:
    """The error of each test, "" if it passed; why they did not run, or None."""
    names: dict[str, Any] = {"__name__": "answer"}
    try:
        exec(compile(code, "answer", "exec"), names)
    except BaseException as error:
        return [], "the code fails: " + type(error).__name__[:60]
    errors = []
    for test in tests:
        try:
            exec(compile(test, "test", "exec"), names)
            errors.append("")
        except BaseException as error:
            errors.append(type(error).__name__[:60])
    return errors, None


def limit(name: str, soft: int, hard: int | None = None) -> None:
    """Set a limit; not every system has every one."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        resource.setrlimit(getattr(resource, name), (soft, soft if hard is None else hard))


def cut_off() -> bool:
    """Leave the network, in namespaces of a user and a network; whether that worked."""
    if sys.platform != "linux":
        return False
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_USER | NEW_NETWORK) != 0:
        return bool(libc.unshare(NEW_NETWORK) == 0)  # root may without
    # Without a map of ids no file can be made.
    maps = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
    for name, text in maps.items():
        with contextlib.suppress(OSError), open("/proc/self/" + name, "w") as file:
            file.write(text)
    return True


def filter_calls() -> bool:
    """Deny the system calls that start or touch other processes, and sockets; whether that worked.

    It holds for root as for anybody. Threads may be started.
    """
    known = CALLS.get(platform.machine()) if sys.platform == "linux" else None
    if known is None:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    program = build_filter(*known, os.getpid())
    memory = ctypes.create_string_buffer(program)
    described = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(memory))
    # PR_SET_NO_NEW_PRIVS, without which only root may filter; then PR_SET_SECCOMP by a filter.
    if libc.prctl(38, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(22, 2, ctypes.create_string_buffer(described), 0, 0) == 0)


def build_filter(architecture: int, calls: dict[str, tuple[int, ...]], process: int) -> bytes:
    """The filter in classic BPF. Its input: the call at 0, the architecture at 4, then arguments
    of eight bytes from 16 on."""
    steps: list[tuple[int, int, int, int]] = []

    def answer(numbers: tuple[int, ...], *then: tuple[int, int, int, int]) -> None:
        for number in numbers:
            steps.extend([(EQUAL, 0, len(then), number), *then])

    allow, deny = (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERRNO | EPERM)
    # A call in the form of another architecture has other numbers.
    steps += [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), deny]
    steps += [(LOAD, 0, 0, 0), (AT_LEAST, 0, 1, 0x40000000), deny]
    answer(calls["denied"], deny)
    refuse = (RETURN, 0, 0, ERRNO | EAFNOSUPPORT)
    answer(calls["socket"], refuse)
    # A pair of streams, which asyncio needs, reaches nobody; one of datagrams can send anywhere.
    type_of = [(LOAD, 0, 0, 24), (AND, 0, 0, TYPE), (EQUAL, 0, 1, STREAM)]
    answer(calls["socketpair"], *type_of, allow, refuse)
    # The C library falls back to clone, whose flags a filter can see.
    answer(calls["clone3"], (RETURN, 0, 0, ERRNO | ENOSYS))
    answer(calls["clone"], (LOAD, 0, 0, 16), (HAS_BITS, 0, 1, THREAD), allow, deny)
    answer(calls["signal"], (LOAD, 0, 0, 16), (EQUAL, 0, 1, process), allow, deny)
    # Its own limits, by 0 or by number.
    of_own = [(LOAD, 0, 0, 16), (EQUAL, 1, 0, 0), (EQUAL, 0, 1, process)]
    answer(calls["prlimit"], *of_own, allow, deny)
    return b"".join(struct.pack("HBBI", *step) for step in [*steps, allow])


if __name__ == "__main__":
    main()
