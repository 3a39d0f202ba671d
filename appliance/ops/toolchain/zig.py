"""One run of the compiler: the clang and the linker in the ziglang package, with options that decide every byte.

Its compiler-rt answers 0 to every `__builtin_cpu_supports`: sources must ask the CPU (cpuid, xgetbv) themselves.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import ApplianceError, MissingProgramError, NoSpaceError
from appliance.ops.record import LIBRARY

_COMPILE = ("-O3", "-std=c++17", "-g0", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off")
_WARNINGS = ("-Wall", "-Wextra", "-Werror")
_AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni", "-mfma", "-mf16c")
# The end of a source's name -> its instruction sets beyond the baseline. Objects are linked in this order: where two
# have the same inline function, the linker keeps the first, and the baseline's runs on every CPU.
_SETS: dict[str, tuple[str, ...]] = {"": (), "_avx2": ("-mavx2", "-mfma"), "_avx512": _AVX512}
# -z defs: a missing function fails here, not on the box.
_LINK = ("-shared", "-s", "-Wl,--build-id=none", "-Wl,-z,defs")
# Without it, the library would export the C++ library's `operator new`, too.
_EXPORTS = "{ global: RegisterCustomOps; appliance_ops_kernels; local: *; };\n"
# Everything above, for the digest of a build.
OPTIONS = repr((_COMPILE, _WARNINGS, _SETS, _LINK, _EXPORTS))
_NO_SPACE = re.compile(r"no space left|NoSpaceLeft|DiskQuota|disk quota", re.IGNORECASE)
_FIRST_ERROR = re.compile(r"^.*\berror: .*$", re.MULTILINE)


@dataclass(frozen=True)
class Zig:
    """An installed compiler.

    Attributes:
        program: path of the program.
        version: version of the package.
        home: the folder with its C++ library.
    """

    program: Path
    version: str
    home: Path

    @classmethod
    def find(cls) -> Zig:
        """Find the one in this Python's environment.

        Raises:
            MissingProgramError: the package is not installed.
        """
        try:
            version = importlib.metadata.version("ziglang")
        except importlib.metadata.PackageNotFoundError as error:
            raise MissingProgramError(
                "the compiler of the operators is not installed: ziglang",
                hint="run: make setup; it installs the version of requirements/dev.lock",
            ) from error
        specification = importlib.util.find_spec("ziglang")
        folders = (specification and specification.submodule_search_locations) or []
        home = Path(next(iter(folders), "."))
        return cls(home / "zig", version, home)

    @property
    def name(self) -> str:
        """Its name and version."""
        return f"zig {self.version}"

    def library(self, sources: Path, triple: str, work: Path, kept: Path) -> Path:
        """Compile all sources and link the library.

        Args:
            sources: the folder of the sources and headers.
            triple: what to compile for.
            work: an existing empty folder; the library is written into it.
            kept: folder of the compiled C++ library, which is the same for all sources.

        Raises:
            NoSpaceError: the disk is full.
            ApplianceError: a source does not compile, or the objects do not link; the whole output is beside `work`.
        """
        found = [(_set_of(path), path.relative_to(sources)) for path in sorted(sources.rglob("*.cpp"))]
        units = sorted(found, key=lambda unit: list(_SETS).index(unit[0]))
        objects = [work / f"{number}.o" for number in range(len(units))]
        target = ("c++", "-target", triple)
        # Paths of this machine would make the bytes differ, where a header has them in a message.
        names = (f"-ffile-prefix-map={sources}=.", f"-ffile-prefix-map={self.home}=zig")
        commands = [
            (*target, *_COMPILE, *_WARNINGS, *_SETS[isa], *names, "-I.", "-c", str(source), "-o", str(compiled))
            for (isa, source), compiled in zip(units, objects, strict=True)
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(lambda command: self._run(command, sources, work, kept), commands):
                pass
        exports = work / "exports"
        exports.write_text(_EXPORTS, encoding="ascii")
        library = work / LIBRARY
        script = f"-Wl,--version-script={exports}"
        self._run((*target, *_LINK, script, *map(str, objects), "-o", str(library)), sources, work, kept)
        return library

    def _run(self, arguments: Sequence[str], folder: Path, work: Path, kept: Path) -> None:
        # Nothing else of the environment: CPATH, for example, would decide what is compiled.
        environment = {"PATH": os.defpath, "HOME": str(work), "TMPDIR": str(work)}
        environment |= {"ZIG_GLOBAL_CACHE_DIR": str(kept), "ZIG_LOCAL_CACHE_DIR": str(work / "zig")}
        command = [str(self.program), *arguments]
        ended = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if ended.returncode:
            raise _failure(ended.stderr.decode(errors="replace"), ended.returncode, work)


def _set_of(source: Path) -> str:
    return next(isa for isa in reversed(_SETS) if source.stem.endswith(isa))


def _failure(output: str, status: int, work: Path) -> ApplianceError:
    if _NO_SPACE.search(output):
        return NoSpaceError(
            f"the disk of {work.parent} became full while the operators were compiled",
            hint="free some disk space, or choose another folder with APPLIANCE_CACHE",
        )
    log = work.parent / "failed.log"
    log.write_text(output, encoding="utf-8")
    first = _FIRST_ERROR.search(output)
    what = first.group().strip() if first else f"zig ended with exit status {status}"
    return ApplianceError(f"the operators do not compile: {what}", hint=f"the compiler's whole output is in {log}")
