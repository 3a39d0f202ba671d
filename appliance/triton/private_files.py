"""Protects Triton's files in /dev/shm from other users of the machine: these files contain prompts and answers.

Triton's Python backend sets the mode of its files to 0644 with fchmod(2), independent of the umask
(boost::interprocess). Therefore a system call filter (seccomp(2)) makes fchmod do nothing in that process, and the
umask decides. See docs/decisions/triton-on-unix-sockets.md.
"""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Callable
from pathlib import Path

_UMASK = 0o077
_OTHERS = 0o077
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER = 1
# Without this flag, kernels before 5.16 on x86 slow the whole process down (speculative store bypass).
_FILTER_FLAG_SPEC_ALLOW = 4
# linux/bpf_common.h, linux/seccomp.h: classic BPF over struct seccomp_data {int nr; u32 arch; …}.
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_OFFSET, _ARCH_OFFSET = 0, 4
_RETURN_ALLOW = 0x7FFF0000
# SECCOMP_RET_ERRNO with the number 0: the kernel skips the call and reports success.
_RETURN_SUCCESS = 0x00050000
# machine -> AUDIT_ARCH_…, and the system call numbers of seccomp and fchmod.
_CALLS = {"x86_64": (0xC000003E, 317, 91), "aarch64": (0xC00000B7, 277, 52)}
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def umask_that_holds() -> Callable[[], None]:
    """Return what a child calls before its program, so that other users cannot open the files that it creates.

    It cannot fail: if the kernel or processor does not support the filter, it sets only the umask, and `narrow` does
    the rest.
    """
    calls = _CALLS.get(platform.machine())
    program = _no_fchmod(calls[0], calls[2]) if calls else None

    def in_the_child() -> None:
        os.umask(_UMASK)
        if calls is not None and program is not None:
            # The kernel requires this of every user except root: no program that the child starts can gain privileges.
            _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            _LIBC.syscall(calls[1], _SET_MODE_FILTER, _FILTER_FLAG_SPEC_ALLOW, ctypes.byref(program))

    return in_the_child


def narrow(folder: Path, prefix: str) -> bool:
    """Remove all permissions of other users from files with this prefix; returns whether any file had such."""
    found = [path for path in folder.glob(f"{prefix}*") if path.lstat().st_mode & _OTHERS]
    for path in found:
        path.chmod(0o600)
    return bool(found)


def _no_fchmod(arch: int, fchmod: int) -> _Filter:
    instructions = (
        (_LOAD_WORD, 0, 0, _ARCH_OFFSET),
        (_JUMP_IF_EQUAL, 0, 3, arch),
        (_LOAD_WORD, 0, 0, _NUMBER_OFFSET),
        (_JUMP_IF_EQUAL, 0, 1, fchmod),
        (_RETURN, 0, 0, _RETURN_SUCCESS),
        (_RETURN, 0, 0, _RETURN_ALLOW),
    )
    array = (_Instruction * len(instructions))(*(_Instruction(*each) for each in instructions))
    return _Filter(len(instructions), array)
