"""Who may import whom: each layer imports only from its left."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "python" / "armillary"
LAYERS = [
    {"errors", "_words", "_yaml", "_console"},
    {"_core"},
    {"config", "configs", "database_credentials", "durability", "repository_config", "_files"},
    {"storage"},
    {"butler"},
    {"pipeline", "instrument"},
    {"lsst_alias"},
    {"cli"},
    {"demo", "testing"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# The everyday door shows names of the layers below `pipeline`; it imports them when they are asked for.
DOORS = {"__init__"}


def top_level(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def internal_imports(source: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield (importing layer, imported layer, file) of every import of armillary in the tree."""
    for path in sorted(source.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                modules = (
                    [f"armillary.{alias.name}" for alias in node.names] if node.module == "armillary" else [node.module]
                )
            elif isinstance(node, ast.ImportFrom) and node.level:
                base = ("armillary", *path.relative_to(source).parts)[: -node.level]
                modules = (
                    [".".join((*base, node.module))] if node.module else [".".join((*base, a.name)) for a in node.names]
                )
            for module in modules:
                parts = module.split(".")
                if parts[0] == "armillary" and len(parts) > 1:
                    yield top_level(path), parts[1], path


def test_imports_point_one_way():
    seen = list(internal_imports(SOURCE))
    assert len(seen) > 50, "the scan found next to no imports: is SOURCE right?"
    wrong = {
        f"{path.relative_to(SOURCE)}: {importer} imports {imported}"
        for importer, imported, path in seen
        if importer not in DOORS and imported in RANK and RANK[imported] > RANK[importer]
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_every_module_has_a_layer():
    found = {top_level(path) for path in SOURCE.rglob("*.py")} - DOORS
    assert found <= set(RANK), f"give these a layer: {sorted(found - set(RANK))}"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_stay_readable(path: Path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 800, f"{path.name} has {lines} lines: give its second idea a file of its own"
