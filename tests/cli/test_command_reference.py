"""docs/commands.md says what the commands say of themselves."""

import importlib.machinery
import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_current():
    loader = importlib.machinery.SourceFileLoader(
        "make_command_reference", str(ROOT / "tools" / "make-command-reference")
    )
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    text = module.page()
    assert text.count("\n### butler ") > 30
    assert module.PAGE.read_text() == text, "run tools/make-command-reference and commit docs/commands.md"
