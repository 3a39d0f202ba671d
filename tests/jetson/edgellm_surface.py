"""What the package `tensorrt-edgellm` offers to Python, as a value that can be recorded and compared.

`python -m tests.jetson.edgellm_surface WHEEL > tests/jetson/edgellm-VERSION.json` records it from a wheel for x86-64
Linux, without a GPU: Python's side from the sources, the native module's from the module itself. That one wants CUDA
and TensorRT; here empty functions of those names stand in for them, made by `cc`. They let the module load and tell
its classes, and could compute nothing. It takes the Python that the wheel is for.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ENGINE = "experimental/server/runtime/engine.py"
BUILD = "experimental/builder/cli.py"
MODELS = "experimental/builder/models/"
VARIANTS = "tensorrt_edgellm/_native/variants.json"
# The classes that a delegated engine would touch.
NATIVE = (
    "EngineMetrics",
    "FinishReason",
    "GuideType",
    "GuidedDecodingParams",
    "LLMGenerationRequest",
    "LLMGenerationResponse",
    "LogprobEntry",
    "Message",
    "MessageContent",
    "Request",
    "RequestEngine",
    "RequestHandle",
    "ShutdownMode",
    "StreamChannel",
    "StreamChunk",
)
_SHOW = """\
import importlib.util, json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.jetson.edgellm_surface import native
specification = importlib.util.spec_from_file_location("_edgellm_runtime", sys.argv[2])
module = importlib.util.module_from_spec(specification)
specification.loader.exec_module(module)
print(json.dumps(native(module)))
"""


def native(module: ModuleType) -> dict[str, Any]:
    """Attributes, and signatures of methods, of the native module's classes."""
    return {name: dict(_members(getattr(module, name))) for name in NATIVE}


def _members(kind: type) -> Iterator[tuple[str, str]]:
    for name, member in sorted(vars(kind).items()):
        if name == "__init__" or not name.startswith("_"):
            text = (getattr(member, "__doc__", "") or "").strip()
            overloads = re.findall(rf"{name}\((?!\*args).*", text)
            # A default that is an object is written with its address.
            yield name, " | ".join(re.sub(r" at 0x[0-9a-f]+", "", line) for line in overloads)


def sources(wheel: zipfile.ZipFile) -> dict[str, Any]:
    """What the Python sources and the wheel's own records say."""
    engine, build = (ast.parse(wheel.read(name)) for name in (ENGINE, BUILD))
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    lines = wheel.read(metadata).decode().splitlines()
    variants = json.loads(wheel.read(VARIANTS))["variants"]
    return {
        "version": _after(lines, "Version: ")[0],
        "python": _after(lines, "Requires-Python: ")[0],
        "requires": sorted(line for line in _after(lines, "Requires-Dist: ") if "extra ==" not in line),
        "sampling_params": _fields(engine, "SamplingParams"),
        "llm_arguments": _arguments(engine, "LLM"),
        "build_flags": sorted(_flags(build)),
        "model_folders": sorted({name.removeprefix(MODELS).split("/")[0] for name in _below(wheel, MODELS)}),
        "variants": sorted(f"sm_{each['gpu_sm']} {each['tensorrt_runtime_soname']}" for each in variants),
    }


def _below(wheel: zipfile.ZipFile, folder: str) -> list[str]:
    return [name for name in wheel.namelist() if name.startswith(folder) and "/" in name.removeprefix(folder)]


def _after(lines: list[str], start: str) -> list[str]:
    return [line.removeprefix(start) for line in lines if line.startswith(start)]


def _class(tree: ast.Module, name: str) -> ast.ClassDef:
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


def _fields(tree: ast.Module, name: str) -> dict[str, str]:
    found = [node for node in _class(tree, name).body if isinstance(node, ast.AnnAssign)]
    return {ast.unparse(node.target): ast.unparse(node.value) if node.value else "" for node in found}


def _arguments(tree: ast.Module, name: str) -> list[str]:
    body = _class(tree, name).body
    made = next(node for node in body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    return [each.arg for each in (*made.args.args[1:], *made.args.kwonlyargs)]


def _flags(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument" and node.args:
            yield str(ast.literal_eval(node.args[0]))


def _native_of(wheel: zipfile.ZipFile, scratch: Path) -> dict[str, Any]:
    row = json.loads(wheel.read(VARIANTS))["variants"][0]
    module = scratch / Path(row["extension"]).name
    module.write_bytes(wheel.read(f"tensorrt_edgellm/{row['extension']}"))
    listed = subprocess.run(["nm", "-D", "--undefined-only", module], capture_output=True, text=True, check=True).stdout
    wanted = {line.split()[-1].partition("@")[0] for line in listed.splitlines()}
    _stand_in(scratch / row["cuda_runtime_soname"], {n for n in wanted if re.match("(__)?cuda", n)}, versioned=True)
    _stand_in(scratch / "libcuda.so.1", {n for n in wanted if re.match("cu[A-Z]", n)})
    _stand_in(scratch / row["tensorrt_runtime_soname"], {n for n in wanted if n.startswith("createInfer")})
    parser = row["tensorrt_runtime_soname"].replace("nvinfer", "nvonnxparser")
    _stand_in(scratch / parser, {n for n in wanted if n.startswith("createNvOnnx")})
    shown = subprocess.run(
        [sys.executable, "-c", _SHOW, Path.cwd(), module],
        capture_output=True,
        text=True,
        check=True,
        env={"LD_LIBRARY_PATH": str(scratch)},
    )
    return json.loads(shown.stdout)  # type: ignore[no-any-return]


def _stand_in(library: Path, names: set[str], *, versioned: bool = False) -> None:
    source, script = library.with_suffix(".c"), library.with_suffix(".map")
    source.write_text("".join(f"long {name}(void) {{ return 0; }}\n" for name in sorted(names)))
    script.write_text(f"{library.name if versioned else 'ANY'} {{ global: *; }};")
    command = ["cc", "-shared", "-fPIC", "-w", "-fno-builtin", f"-Wl,-soname,{library.name}", "-o", library, source]
    subprocess.run([*command, *([f"-Wl,--version-script={script}"] if versioned else [])], check=True)


def record(path: Path) -> dict[str, Any]:
    """The whole surface of a wheel."""
    with zipfile.ZipFile(path) as wheel, tempfile.TemporaryDirectory() as scratch:
        return {**sources(wheel), "native": _native_of(wheel, Path(scratch))}


if __name__ == "__main__":
    print(json.dumps(record(Path(sys.argv[1])), indent=2, sort_keys=True))  # noqa: T201 - the record
