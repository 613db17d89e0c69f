"""The stub says what the extension does, and its examples run."""

import ast
import doctest
import subprocess
import sys
from pathlib import Path

import armillary
from armillary import _core

PACKAGE = Path(armillary.__file__).parent
STUB = PACKAGE / "_core.pyi"


def documented(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            yield node.name, node.lineno, ast.get_docstring(node)


def test_examples_in_the_stub_run():
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    names = {name: value for name, value in vars(_core).items() if not name.startswith("__")}
    for name, line, text in documented(ast.parse(STUB.read_text())):
        test = parser.get_doctest(text, dict(names), name, str(STUB), line)
        if test.examples:
            runner.run(test)
    assert runner.tries > 20
    assert runner.failures == 0


def test_every_public_class_is_documented():
    classes = [node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ClassDef)]
    assert len(classes) > 15
    assert [node.name for node in classes if not ast.get_docstring(node)] == []


def test_the_stub_agrees_with_the_extension():
    allowlist = Path(__file__).with_name("stubtest_allowlist.txt")
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "armillary._core", "--allowlist", str(allowlist)],
        # The project's settings say where the stub is; the extension is the one that runs these tests.
        capture_output=True, text=True, env={"PYTHONPATH": str(PACKAGE.parent)}, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_core_imports_nothing_heavy():
    heavy = "astropy", "numpy", "lsst", "pyarrow", "yaml"
    code = f"import sys, armillary._core; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(PACKAGE.parent)},
    )
    assert done.stdout.strip() == "[]"
