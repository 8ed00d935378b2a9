"""Holds the package to docs/architecture.md: levels, sizes, what imports cost, public names, the test set."""

import ast
import functools
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tenfold

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tenfold"
TABLE = ROOT / "docs" / "architecture.md"
LONGEST_MODULE = 320  # the aim is 300 lines; a module slightly above it need not be cut in two the same day
TEST_DOOR = "tenfold.splits.open_test"

# Packages whose files are variants of one idea, covered by one test file, or by a folder of tests.
TESTED_TOGETHER = {
    "augmentation",
    "cli",
    "config",
    "models",
    "recipes",
    "reporting",
    "exporting",
    "prediction",
}

ENGINES = {"keras", "torch", "tensorflow", "jax", "onnxruntime", "openvino"}
HEAVY = {*ENGINES, "sklearn", "scipy", "matplotlib", "pyarrow", "pandas"}
# What the command line may bring along before it knows the verb.
LIGHT = {"tyro", "typeguard", "typing_extensions", "docstring_parser", "rich", "pygments", "msgspec", "yaml"}


def _dotted(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_dotted(path): path for path in sorted(SOURCE.rglob("*.py"))}


@functools.cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def unit(module: str) -> str:
    """The row entry a module counts as: `tenfold.datasets.cifar` is `datasets`."""
    name = f"{module}.".split(".")[1]
    return "cli" if name == "__main__" else name


@functools.cache
def levels() -> dict[str, int]:
    rows = re.findall(r"^\| (\d) \| ([^|]+) \|", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: int(level) for level, names in rows for name in re.findall(r"`(\w+)`", names)}


def called(node: ast.AST) -> str:
    """The last name of what a call calls: `load` for both `load(x)` and `datasets.load(x)`."""
    function = node.func if isinstance(node, ast.Call) else None
    return getattr(function, "attr", getattr(function, "id", ""))


def imports(module: str) -> Iterator[tuple[str, int]]:
    """Every absolute name that a module imports, wherever in it, with the line."""
    is_package = MODULES[module].name == "__init__.py"
    for node in ast.walk(tree(module)):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, node.lineno) for alias in names)
            case ast.ImportFrom(module=home, names=names, level=dots):
                above = module.split(".")[: len(module.split(".")) - dots + is_package] if dots else []
                home = ".".join([*above, *([home] if home else [])])
                for alias in names:
                    full = f"{home}.{alias.name}"
                    yield (full if full in MODULES or home == "tenfold" else home), node.lineno
            case ast.Call(args=[ast.Constant(value=str(name)), *_]) if called(node) == "import_module":
                yield name, node.lineno


def place(module: str, line: int) -> str:
    return f"{MODULES[module].relative_to(ROOT)}:{line}"


def test_every_module_has_a_level():
    table = levels()
    missing = sorted({unit(module) for module in MODULES if module != "tenfold"} - set(table))
    assert not missing, f"no level for {missing}: add each to the table in {TABLE.relative_to(ROOT)}"


def test_imports_go_down():
    table = levels()
    wrong = []
    for module in MODULES:
        if module == "tenfold":  # names the public API, and imports it at first use
            continue
        own = unit(module)
        for target, line in imports(module):
            # `import tenfold` is for the version; the next test looks at what is asked of it.
            if target.split(".")[0] != "tenfold" or target in ("tenfold", "tenfold.__version__"):
                continue
            other = unit(target)
            if target not in MODULES:
                wrong.append(f"{place(module, line)}: import {other} from the module that defines it")
            elif own != other and {own, other} <= set(table) and table[other] >= table[own]:
                wrong.append(
                    f"{place(module, line)}: level {table[own]} imports {other}, level {table[other]}"
                )
    assert not wrong, "\n".join(wrong)


def test_the_package_itself_is_asked_for_its_version_only():
    wrong = [
        f"{place(module, node.lineno)} uses tenfold.{node.attr}: import it from the module that defines it"
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "tenfold"
        if node.attr not in ("__version__", "__doc__")
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["evaluation", "robustness"])
def test_what_takes_a_predict_fn_knows_no_engine(name):
    asked = {
        f"{place(module, line)} imports {target}"
        for module in MODULES
        if unit(module) == name
        for target, line in imports(module)
        if target.split(".")[0] in ENGINES
    }
    assert not asked


def test_modules_are_short_and_say_what_they_are():
    wrong = []
    for module, path in MODULES.items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LONGEST_MODULE:
            wrong.append(f"{place(module, lines)}: {lines} lines; is there a second noun inside?")
        if lines and not ast.get_docstring(tree(module)):
            wrong.append(f"{place(module, 1)}: no docstring")
    assert not wrong, "\n".join(wrong)


def test_only_the_command_line_prints_and_nothing_asserts():
    wrong = []
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.Assert):
                wrong.append(f"{place(module, node.lineno)}: assert; raise an error of errors.py")
            elif isinstance(node, ast.Name) and node.id == "print" and unit(module) != "cli":
                wrong.append(f"{place(module, node.lineno)}: print; return the value")
    assert not wrong, "\n".join(wrong)


def loaded_by(code: str, folder: Path) -> set[str]:
    """The top-level packages from outside the standard library that `code` loads in a fresh Python."""
    names = "{name.partition('.')[0] for name in sys.modules}"
    listing = f"import sys; print(*{names}, sep='\\n', file=sys.stderr)"

    def modules(program: str) -> set[str]:
        command = [sys.executable, "-c", f"{program}\n{listing}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, timeout=60)
        assert done.returncode == 0, done.stderr
        return set(done.stderr.split())

    # An environment loads some by itself, for example through .pth files.
    return modules(code) - modules("") - set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        pytest.param("import tenfold", set(), id="import"),
        pytest.param("from tenfold.cli import main; assert main(['--help']) == 0", LIGHT, id="help"),
        pytest.param(
            "from tenfold.cli import main; assert main(['train', '--help']) == 0", LIGHT, id="train-help"
        ),
    ],
)
def test_little_is_loaded_before_there_is_work(code, allowed, tmp_path):
    loaded = loaded_by(code, tmp_path)
    assert "tenfold" in loaded
    assert not loaded & HEAVY
    unexpected = {name for name in loaded - allowed - {"tenfold"} if not name.endswith("__mypyc")}
    assert not unexpected, "import it where it is used, or add it to LIGHT if it costs next to nothing"


@pytest.mark.parametrize("name", sorted(set(tenfold.__all__) - {"__version__"}))
def test_public_names_exist_and_are_documented(name):
    thing = getattr(tenfold, name)
    assert name in dir(tenfold)
    text = inspect.getdoc(thing)
    assert text
    assert not text.startswith(f"{name}("), "this is the signature that a dataclass writes by itself"


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'tenfold' has no attribute 'tran'"):
        tenfold.tran  # noqa: B018 - the access is the test


def has_tests(module: str) -> bool:
    tests = ROOT / "tests"
    own, last = unit(module), module.rpartition(".")[2]
    places = [tests / f"test_{last}.py", tests / own / f"test_{last}.py"]
    if own in TESTED_TOGETHER:
        places.append(tests / f"test_{own}.py")
    if own in TESTED_TOGETHER or own == last:  # a package's __init__ counts as tested with its parts
        places += (tests / own).glob("test_*.py")
    return any(path.exists() for path in places)


def test_every_module_has_its_tests():
    missing = [place(module, 1) for module in MODULES if module != "tenfold" and not has_tests(module)]
    assert not missing, "no tests/test_<module>.py, nor in tests/<package>/, for:\n" + "\n".join(missing)


def literals(call: ast.Call) -> list[object]:
    """The constants among the arguments of a call."""
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return [value.value for value in values if isinstance(value, ast.Constant)]


def test_one_function_reads_the_test_pictures():
    wrong, doors = [], []
    for module in MODULES:
        functions = [node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef)]
        counted = [node for node in functions if f"{module}.{node.name}" == TEST_DOOR]
        doors += counted
        allowed = {id(node) for function in counted for node in ast.walk(function)}
        for node in ast.walk(tree(module)):
            if not isinstance(node, ast.Call) or id(node) in allowed:
                continue
            if called(node) in ("load", "read", "find") and "test" in literals(node):
                wrong.append(f"{place(module, node.lineno)}: {ast.unparse(node)}")
    assert doors, f"{TEST_DOOR} is gone; name the function that took its place in TEST_DOOR"
    assert not wrong, f"{TEST_DOOR} alone reads test pictures, and counts the looks:\n" + "\n".join(wrong)
