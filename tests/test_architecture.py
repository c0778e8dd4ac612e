"""House rules that are read off the source: layers, cycles, sizes, and what is never written."""

from __future__ import annotations

import ast
import sys

from source_tree import PACKAGES, Import, Module, imports, modules

CAPABILITIES = (
    "simulate",
    "prepare",
    "train",
    "checkpoint",
    "predict",
    "retrieve",
    "index",
    "reconstruct",
    "evaluate",
    "compare",
    "report",
    "sae",
    "explain",
    "demo",
    "builtin",
)
SHELL = ("__main__", "app", "lazy", "options", "output", "errors", "settings")
# A layer may import itself and what stands to its right.
ORDER = ("shell", "commands", "capabilities", "models", "core", "store")
MAX_FILE = 300
MAX_FUNCTION = 60
THIRD_PARTY_OF_STORE = {"numpy", "zarr", "numcodecs", "google_crc32c", "tensorstore"}

PICKLES = {"pickle", "dill", "joblib", "cloudpickle", "marshal", "shelve"}


def layer(name: str) -> str:
    """The layer of a project module; the root package holds the version alone, as core does."""
    parts = name.split(".")
    if parts[0] == "mindeye_store":
        return "store"
    if len(parts) == 1:
        return "core"
    if parts[1] in SHELL:
        return "shell"
    if parts[1] in CAPABILITIES:
        return "capabilities"
    return parts[1]


def capability(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if layer(name) == "capabilities" else None


def allowed(source: str, target: str) -> bool:
    """Whether the arrow from `source` to `target` points to the right."""
    here, there = layer(source), layer(target)
    if here == "commands" and there == "shell":
        return True  # options and output are written for the commands
    if here == "shell":
        return there in ("shell", "core", "store")
    if here == there == "capabilities":
        return capability(source) == capability(target)
    return there != "shell" and ORDER.index(here) <= ORDER.index(there)


def test_layers() -> None:
    strays = [str(module) for name, module in modules().items() if layer(name) not in ORDER]
    assert not strays, "these are in no layer"
    wrong = [
        f"{module}:{item.line} imports {item.name}"
        for module in modules().values()
        for item in imports(module)
        if item.name.split(".")[0] in PACKAGES and not allowed(module.name, item.name)
    ]
    assert not wrong, "\n".join(wrong)


def _foreign(module: Module, item: Import) -> str | None:
    """Why a module may not import something from outside the project, or None."""
    root, here = item.name.split(".")[0], layer(module.name)
    if root in PACKAGES or root in sys.stdlib_module_names:
        return None
    if root == "click":
        return "typer brings its own"
    if root == "typer" and here not in ("shell", "commands"):
        return "library code knows no command line"
    if root == "typer" and item.name != "typer" and module.name != "mindeye_cli.lazy":
        return "typer's internals are touched in lazy.py alone"
    if here == "store" and root not in THIRD_PARTY_OF_STORE:
        return f"the store needs {sorted(THIRD_PARTY_OF_STORE)} alone"
    if here in ("shell", "commands") and item.at_import and root != "typer":
        return "import it inside the function: start-up must stay fast"
    return None


def test_third_parties() -> None:
    wrong = [
        f"{module}:{item.line} imports {item.name}: {why}"
        for module in modules().values()
        for item in imports(module)
        if (why := _foreign(module, item))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_cycles() -> None:
    edges = {
        name: {item.name for item in imports(module) if item.at_import and item.name in modules()}
        for name, module in modules().items()
    }
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done:
            return
        for target in edges[name] - {name}:
            visit(target, [*path, name])
        done.add(name)

    for name in edges:
        visit(name, [])


def test_sizes() -> None:
    wrong = []
    for module in modules().values():
        lines = len(module.text.splitlines())
        if lines > MAX_FILE:
            wrong.append(f"{module} has {lines} lines")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION:
                    wrong.append(f"{module}:{node.lineno} {node.name} has {length} lines")
    assert not wrong, "\n".join(wrong)


def test_module_docstrings_and_lazy_annotations() -> None:
    wrong = [str(item) for item in modules().values() if not ast.get_docstring(item.tree)]
    assert not wrong, "no docstring"
    wrong = [
        str(module)
        for module in modules().values()
        if any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in module.tree.body)
        and "from __future__ import annotations" not in module.text
    ]
    assert not wrong, "no `from __future__ import annotations`"


def _banned_keyword(call: ast.Call) -> str | None:
    name = ast.unparse(call.func)
    for keyword in call.keywords:
        value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        if keyword.arg == "allow_pickle" and value is not False:
            return "allow_pickle"
        if keyword.arg == "weights_only" and value is not True:
            return "weights_only other than True"
        if keyword.arg == "strict" and value is False and name != "zip":
            return "strict=False"
    return None


def _banned_call(call: ast.Call) -> str | None:
    name = ast.unparse(call.func)
    if name in ("print", "eval", "exec"):
        return f"{name}()"
    if name == "torch.load" and "weights_only" not in {keyword.arg for keyword in call.keywords}:
        return "torch.load without weights_only=True"
    return _banned_keyword(call)


def _banned(node: ast.AST, module: Module) -> str | None:
    if isinstance(node, ast.Call):
        return _banned_call(node)
    if isinstance(node, ast.ExceptHandler):
        if node.type is None:
            return "bare except"
        blind = ast.unparse(node.type) in ("Exception", "BaseException")
        raises = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
        if blind and not raises:
            return "blind except"
    if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.stdout":
        if module.name not in ("mindeye_cli.output", "mindeye_cli.app"):
            return "sys.stdout outside output.py"
    return None


def test_never_written() -> None:
    wrong = [
        f"{module}:{node.lineno}: {what}"  # type: ignore[attr-defined]
        for module in modules().values()
        for node in ast.walk(module.tree)
        if (what := _banned(node, module))
    ]
    wrong += [
        f"{module}:{item.line} imports {item.name}"
        for module in modules().values()
        for item in imports(module)
        if item.name.split(".")[0] in PICKLES
    ]
    assert not wrong, "\n".join(wrong)


def test_the_rules_can_fail() -> None:
    """Each rule finds what it is for, in made-up source."""
    here = Module("mindeye_cli.core.x", modules()["mindeye_cli.app"].path, "", ast.parse(""))
    for source in (
        "print(1)",
        "np.load(f, allow_pickle=True)",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "model.load_state_dict(s, strict=False)",
        "try:\n    f()\nexcept:\n    g()",
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept BaseException:\n    g()",
        "sys.stdout.write('x')",
    ):
        assert any(_banned(node, here) for node in ast.walk(ast.parse(source))), source
    for source in (
        "zip(a, b, strict=False)",
        "torch.load(f, weights_only=True)",
        "try:\n    f()\nexcept BaseException:\n    g()\n    raise",
    ):
        assert not any(_banned(node, here) for node in ast.walk(ast.parse(source))), source
    assert not allowed("mindeye_cli.train.loop", "mindeye_cli.evaluate.scores")
    assert not allowed("mindeye_cli.models.ridge", "mindeye_cli.train.loop")
    assert not allowed("mindeye_store.store", "mindeye_cli.core.atomic")
    assert not allowed("mindeye_cli.core.runs", "mindeye_cli.output")
    assert allowed("mindeye_cli.commands.train", "mindeye_cli.train.loop")
