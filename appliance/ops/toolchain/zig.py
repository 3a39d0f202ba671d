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
# Architecture -> the end of a source's name -> its instruction sets beyond the baseline. Sources for another
# architecture are left out. Objects are linked in this order: where two have the same inline function, the linker keeps
# the first, and the baseline's runs on every CPU.
_SETS: dict[str, dict[str, tuple[str, ...]]] = {
    "x86_64": {
        "": (),
        "_x86": (),
        "_avx2": ("-mavx2", "-mfma", "-mf16c"),
        "_avx512": _AVX512,
        "_amx": (*_AVX512, "-mavx512bf16", "-mamx-tile", "-mamx-int8", "-mamx-bf16"),
    },
    "aarch64": {"": (), "_arm": (), "_neon": ("-mcpu=generic+dotprod",)},
}
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
        objects = self.objects(sources, triple, work, kept)
        exports = work / "exports"
        exports.write_text(_EXPORTS, encoding="ascii")
        library = work / LIBRARY
        self.link(objects, triple, (*_LINK, f"-Wl,--version-script={exports}"), library, kept)
        return library

    def objects(
        self, sources: Path, triple: str, work: Path, kept: Path, options: Sequence[str] = ()
    ) -> Sequence[Path]:
        """Compile all sources, with more options than those of the library; the objects are in the order to link.

        Raises:
            NoSpaceError, ApplianceError: as in `library`.
        """
        found = units(sources, triple)
        objects = [work / f"{number}.o" for number in range(len(found))]
        # Paths of this machine would make the bytes differ, where a header has them in a message.
        names = (f"-ffile-prefix-map={sources}=.", f"-ffile-prefix-map={self.home}=zig")
        shared = ("c++", "-target", triple, *_COMPILE, *_WARNINGS, *names, "-I.", *options)
        commands = [
            (*shared, *unit.instructions, "-c", str(unit.source), "-o", str(compiled))
            for unit, compiled in zip(found, objects, strict=True)
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(lambda command: self._run(command, sources, work, kept), commands):
                pass
        return objects

    def link(self, objects: Sequence[Path], triple: str, options: Sequence[str], output: Path, kept: Path) -> None:
        """Link objects to a library or a program; the folder of `output` is a work folder.

        Raises:
            NoSpaceError, ApplianceError: as in `library`.
        """
        command = ("c++", "-target", triple, *options, *map(str, objects), "-o", str(output))
        self._run(command, output.parent, output.parent, kept)

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


@dataclass(frozen=True)
class Unit:
    """One source to compile.

    Attributes:
        source: its path below the folder of the sources.
        instructions: the compiler's options for the instructions that it may use.
    """

    source: Path
    instructions: tuple[str, ...]


def units(sources: Path, triple: str) -> Sequence[Unit]:
    """The sources in a folder that are for this architecture, in the order to link."""
    architecture = triple.partition("-")[0]
    ours = _SETS[architecture]
    ends = {end for sets in _SETS.values() for end in sets}
    ended = [
        (max((end for end in ends if path.stem.endswith(end)), key=len), path)
        for path in sorted(sources.rglob("*.cpp"))
    ]
    found = [(end, path.relative_to(sources)) for end, path in ended if end in ours]
    return [Unit(path, ours[end]) for end, path in sorted(found, key=lambda unit: list(ours).index(unit[0]))]


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
