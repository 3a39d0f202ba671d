"""The rules of who may import whom, and a checker that parses imports without running anything."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

# A unit is what stands directly under `appliance`. A higher level imports lower ones; neighbours stay apart.
LEVELS = {
    "appliance": 0,
    "appliance.errors": 0,
    "appliance.extras": 0,
    "appliance.names": 0,
    "appliance.onnx_runtime": 0,
    "appliance.number": 0,
    "appliance.sealed": 0,
    "appliance.sizes": 0,
    "appliance.address": 0,
    "appliance.bounded_log": 0,
    "appliance.capacity": 0,
    "appliance.child": 0,
    "appliance.cores": 0,
    "appliance.disk": 0,
    "appliance.document": 0,
    "appliance.durable": 0,
    "appliance.heap": 0,
    "appliance.isolation": 0,
    "appliance.jetson": 0,
    "appliance.memory": 0,
    "appliance.json_schema": 0,
    "appliance.http": 0,
    "appliance.inference": 1,
    "appliance.running_process": 0,
    "appliance.token_bytes": 0,
    "appliance.unix_socket": 0,
    "appliance.within": 0,
    "appliance.layout": 1,
    "appliance.lock": 1,
    "appliance.config": 1,
    "appliance.site": 1,
    "appliance.catalog": 1,
    "appliance.gpu": 1,
    "appliance.artefact": 1,
    "appliance.targets": 1,
    "appliance.chat_template": 1,
    "appliance.metrics": 2,
    "appliance.ops": 2,
    "appliance.releases": 2,
    "appliance.derived": 3,
    "appliance.store": 3,
    "appliance.packed": 4,
    "appliance.tensorrt": 4,
    "appliance.engine": 5,
    "appliance.auth": 4,
    "appliance.triton": 4,
    "appliance.sources": 4,
    "appliance.edgellm": 5,
    "appliance.gateway": 6,
    "appliance.supervisor": 6,
    "appliance.cli": 7,
}
# The same for what stands directly under the gateway.
GATEWAY_LEVELS = {
    "refusals": 0,
    "proto": 0,
    "access_log": 0,
    "error_table": 1,
    "tls": 1,
    "metrics": 1,
    # Which models of the set are loaded.
    "loading": 2,
    # Which model of a route answers.
    "routing": 3,
    "access": 2,
    # Requests to Triton and its answers.
    "triton": 3,
    "settings": 3,
    # Conversations: templates, tokens, tools, thoughts; and the models on offer.
    "chat": 4,
    "bodies": 5,
    # The one way from an API to a model's answer.
    "answering": 5,
    "log_probabilities": 5,
    # What all APIs share.
    "services": 6,
    # Transports.
    "http": 7,
    "rpc": 7,
    # APIs: none knows another.
    "anthropic": 8,
    "inference_v1": 8,
    "inquiry": 8,
    "kserve": 8,
    "ollama": 8,
    "openai": 8,
    "page": 8,
    "triton_http": 8,
    # What is asked at the same address whatever the API, and what describes them all.
    "admin": 9,
    "health_api": 9,
    "metrics_page": 9,
    "models_api": 9,
    "openapi": 9,
    # Which APIs are at which listener.
    "http_app": 10,
    "listeners": 10,
    "server": 11,
    "__main__": 12,
}
EXPORT_MAY = {
    f"appliance.{name}"
    for name in (
        "artefact",
        "capacity",
        "store",
        "sources",
        "durable",
        "layout",
        "catalog",
        "chat_template",
        "disk",
        "errors",
        "names",
        "number",
        "engine",
        "inference",
        "json_schema",
        "lock",
        "memory",
        "onnx_runtime",
        "releases",
        "sizes",
        "targets",
    )
}
# What stands outside `appliance`, and what of it they import.
GUESTS = {
    "export": EXPORT_MAY,
    # Two of its modules are commands: they take the command line's own pieces for options, output and progress.
    "export.cli": {*EXPORT_MAY, "appliance.cli"},
    "export.plan_cli": {*EXPORT_MAY, "appliance.cli"},
    # Triton's shim joins Triton, the engine and the board's heat, nothing more.
    "model_repository": {
        "appliance.engine",
        "appliance.inference",
        "appliance.errors",
        "appliance.jetson",
        "appliance.metrics",
    },
}

# Third-party packages that a part never imports, not even through another module of ours.
FORBIDDEN = {
    "appliance": {"torch", "transformers", "gguf", "export"},
    "appliance.gateway": {"onnxruntime", "onnx", "llguidance"},
    "appliance.supervisor": {"onnxruntime", "onnx", "llguidance", "tokenizers"},
    "appliance.inference": {"onnxruntime", "onnx", "llguidance", "tokenizers", "numpy", "grpc"},
    "appliance.engine": {"tritonclient", "triton_python_backend_utils"},
    "export": {"torch", "transformers"},
}
# Packages that one module alone imports, for all the others.
KEPT_BY = {"onnxruntime": "appliance.onnx_runtime"}
# Modules of ours that these alone import: no API reaches a model but through the answering seam.
RESERVED = {
    "appliance.gateway.triton.inference": {"appliance.gateway.answering.answering", "appliance.gateway.server"},
    "appliance.gateway.triton.channel": {
        "appliance.gateway.triton.inference",
        "appliance.gateway.triton.model_control",
        "appliance.gateway.triton.questions",
        "appliance.gateway.server",
    },
}


def imports_of(source: str, module: str, *, is_package: bool = False) -> set[str]:
    """Every dotted name that the source imports, wherever in it; relative ones are resolved against `module`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")[: None if is_package and node.level == 1 else -(node.level - is_package)]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            # Dunder names (`__version__`) are attributes of the package itself.
            found.update({base, *(f"{base}.{a.name}" for a in node.names if not a.name.startswith("__"))})
    return found


def imports_under(root: Path, *folders: str) -> dict[str, set[str]]:
    """Module name -> what it imports, for every source file under the folders of the repository."""
    modules = {}
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            is_package = path.name == "__init__.py"
            parts = path.relative_to(root).with_suffix("").parts
            module = ".".join(parts[:-1] if is_package else parts)
            modules[module] = imports_of(path.read_text(encoding="utf-8"), module, is_package=is_package)
    return modules


def unit_of(name: str) -> str:
    """The unit that a dotted name belongs to: "appliance.engine.slots" -> "appliance.engine"."""
    return ".".join(name.split(".")[:2]) if name.startswith("appliance.") else name.partition(".")[0]


def part_of(name: str) -> str:
    """The part of the gateway that a dotted name belongs to: "appliance.gateway.chat.reader" -> "chat"; else ""."""
    return name.removeprefix("appliance.gateway.").partition(".")[0] if name.startswith("appliance.gateway.") else ""


def violations(modules: Mapping[str, set[str]]) -> list[str]:
    """Every import that breaks a rule, as a sentence."""
    found = []
    for module, names in sorted(modules.items()):
        found += _of_levels(module, names)
        for package, keeper in KEPT_BY.items():
            if module != keeper and any(_is_in(name, package) for name in names):
                found.append(f"{module} imports {package}: {keeper} does for everybody")
        for kept, keepers in RESERVED.items():
            if kept in names and module not in keepers:
                found.append(f"{module} imports {kept}: it is reserved for {', '.join(sorted(keepers))}")
        for reached, path in sorted(_reached(module, modules).items()):
            for part, forbidden in FORBIDDEN.items():
                if _is_in(module, part) and reached in forbidden:
                    found.append(f"{' -> '.join(path)} -> {reached}: {part} never imports it")
    return found


def _of_levels(module: str, names: set[str]) -> list[str]:
    units = sorted({unit_of(name) for name in names if _is_in(name, "appliance")})
    parts = sorted({part_of(name) for name in names} - {""})
    refusals = [(unit, _refusal(module, unit)) for unit in units]
    refusals += [(f"appliance.gateway.{part}", _refusal_in_gateway(part_of(module), part)) for part in parts]
    return [f"{module} imports {target}: {reason}" for target, reason in refusals if reason]


def _is_in(module: str, part: str) -> bool:
    return module == part or module.startswith(f"{part}.")


def _refusal(module: str, target: str) -> str:
    unit = unit_of(module)
    if target in ("appliance", unit):
        return ""
    if unit in GUESTS and target in LEVELS:
        allowed = GUESTS.get(module, GUESTS[unit])
        return "" if target in allowed else f"{unit} may not import it"
    return _refusal_by_level(unit, target, LEVELS)


def _refusal_in_gateway(part: str, target: str) -> str:
    return "" if part in ("", target) else _refusal_by_level(part, target, GATEWAY_LEVELS)


def _refusal_by_level(importing: str, imported: str, levels: Mapping[str, int]) -> str:
    for one in (imported, importing):
        if one not in levels:
            return f"{one} has no level; give it one in tests/import_rules.py"
    if levels[imported] > levels[importing]:
        return "it is of a higher level"
    return "neighbours do not import each other" if levels[imported] == levels[importing] != 0 else ""


def _reached(module: str, modules: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
    """Top-level packages that importing the module imports, each with the modules on the way there."""
    ways: dict[str, tuple[str, ...]] = {module: (module,)}
    waiting, found = [module], {}
    while waiting:
        current = waiting.pop()
        for name in modules[current]:
            # Importing a.b.c runs a and a.b first.
            parts = name.split(".")
            for step in (".".join(parts[: n + 1]) for n in range(len(parts))):
                if step in modules and step not in ways:
                    ways[step] = (*ways[current], step)
                    waiting.append(step)
            if name and parts[0] not in found:
                found[parts[0]] = ways[current]
    return found
