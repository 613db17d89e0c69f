"""The door: its names are sorted, all there, and cost nothing before they are used."""

import subprocess
import sys

import armillary.pipeline
import armillary.pipeline.execution


def test_names_are_sorted_and_all_there():
    for module in (armillary.pipeline, armillary.pipeline.execution):
        assert list(module.__all__) == sorted(module.__all__)
        for name in module.__all__:
            assert getattr(module, name) is not None, name


def test_every_public_name_has_a_docstring():
    for name in armillary.pipeline.__all__:
        value = getattr(armillary.pipeline, name)
        assert isinstance(value, type(armillary)) or name == "NestedMetadataDict" or (value.__doc__ or "").strip(), name


def test_import_loads_nothing_heavy():
    program = (
        "import sys; import armillary.pipeline; from armillary.pipeline import Struct, Task, connectionTypes;"
        "print([name for name in ('astropy', 'numpy', 'pyarrow', 'lsst', 'yaml', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_configs_load_without_astropy():
    program = (
        "import sys; from armillary.pipeline import PipelineTaskConfig, PipelineTask, Pipeline;"
        "print([name for name in ('astropy', 'pyarrow', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
