"""Connections: declared, named by config, changed in `__init__`, and checked."""

import dataclasses
import pickle
import types
import warnings

import pytest

from armillary.errors import ScalarError
from armillary.pipeline import (
    AdjustQuantumHelper,
    NoWorkFound,
    PipelineTask,
    PipelineTaskConfig,
    PipelineTaskConnections,
    iterConnections,
)
from armillary.pipeline import connectionTypes as cT

VISIT = ("instrument", "visit")


class BaseConnections(PipelineTaskConnections, dimensions=VISIT, defaultTemplates={"p": "P", "q": "Q"}):
    a = cT.Input(name="{p}a", storageClass="D", doc="a", dimensions=VISIT)
    many = cT.Input(name="many", storageClass="D", doc="m", dimensions=VISIT, multiple=True, minimum=2, deferLoad=True)
    pre = cT.PrerequisiteInput(name="pre", storageClass="D", doc="p", dimensions=VISIT)
    b = cT.Output(name="{p}{q}b", storageClass="D", doc="b", dimensions=VISIT)
    i = cT.InitInput(name="{q}i", storageClass="D", doc="i")
    o = cT.InitOutput(name="o", storageClass="D", doc="o")


class BaseConfig(PipelineTaskConfig, pipelineConnections=BaseConnections):
    pass


class BaseTask(PipelineTask):
    ConfigClass = BaseConfig
    _DefaultName = "base"


def make_class(namespace=None, bases=(PipelineTaskConnections,), **keywords):
    return types.new_class("MadeConnections", bases, keywords, lambda body: body.update(namespace or {}))


def make_config(connections):
    return types.new_class("MadeConfig", (PipelineTaskConfig,), {"pipelineConnections": connections})


def instance(connections):
    return connections(config=make_config(connections)())


def test_names_come_from_templates_and_config():
    config = BaseConfig()
    config.connections.p = "X"
    config.connections.o = "renamed_{p}"
    made = BaseConnections(config=config)
    assert (made.a.name, made.b.name, made.i.name, made.o.name) == ("Xa", "XQb", "Qi", "renamed_X")
    assert BaseConnections.a.name == "{p}a"


def test_kinds_are_told_apart():
    made = BaseConnections(config=BaseConfig())
    assert (made.inputs, made.prerequisiteInputs, made.outputs) == ({"a", "many"}, {"pre"}, {"b"})
    assert (made.initInputs, made.initOutputs) == ({"i"}, {"o"})
    assert list(made.allConnections) == ["i", "pre", "a", "many", "o", "b"]
    assert [connection.name for connection in iterConnections(made, ("inputs", "outputs"))] == ["Pa", "many", "PQb"]


@pytest.mark.parametrize(
    ("keywords", "namespace", "words"),
    [
        ({}, {}, "needs dimensions"),
        ({"dimensions": "visit"}, {}, "comma"),
        ({"dimensions": 3}, {}, "not a sequence"),
        ({"dimensions": ()}, {"a": cT.Input(name="{p}x", storageClass="D")}, "template `p`"),
        (
            {"dimensions": (), "defaultTemplates": {"a": "q"}},
            {"a": cT.Input(name="{a}x", storageClass="D")},
            "both a template and a connection",
        ),
    ],
)
def test_wrong_classes_are_refused_when_defined(keywords, namespace, words):
    with pytest.raises(TypeError, match=words):
        make_class(namespace, **keywords)


@pytest.mark.parametrize("options", [{"dimensions": "visit"}, {"minimum": 2}, {"dimensions": 4}])
def test_wrong_connections_are_refused(options):
    with pytest.raises(TypeError):
        cT.Input(name="x", storageClass="D", **options)


def test_connections_are_frozen_values():
    connection = cT.Input(name="x", storageClass="D", dimensions=VISIT)
    assert connection == cT.Input(name="x", storageClass="D", dimensions=VISIT)
    assert hash(connection) == hash(dataclasses.replace(connection))
    with pytest.raises(dataclasses.FrozenInstanceError):
        connection.name = "y"


def test_subclass_inherits_replaces_and_adds():
    made = make_class(
        {"a": cT.PrerequisiteInput(name="{r}a", storageClass="D"), "c": cT.Output(name="c", storageClass="D")},
        (BaseConnections,),
        defaultTemplates={"r": "R"},
    )
    assert made.dimensions == set(VISIT)
    assert made.defaultTemplates == {"p": "P", "q": "Q", "r": "R"}
    assert "a" in made.prerequisiteInputs
    assert "a" not in made.inputs
    assert made.outputs == {"b", "c"}


def test_init_may_change_everything():
    def init(self, *, config=None):
        del self.a
        self.prerequisiteInputs.remove("pre")
        self.dimensions.update({"detector"})
        self.extra = cT.Input(name="extra", storageClass="D", dimensions=())
        self.b = dataclasses.replace(self.b, dimensions=("tract",))

    made = instance(make_class({"__init__": init}, (BaseConnections,)))
    assert made.inputs == {"many", "extra"}
    assert made.prerequisiteInputs == frozenset()
    assert made.dimensions == {"instrument", "visit", "detector"}
    assert made.b.dimensions == ("tract",)
    for removed in ("a", "pre"):
        assert removed not in made.allConnections
        with pytest.raises(AttributeError, match=f"`{removed}`.*removed"):
            getattr(made, removed)
    assert not hasattr(made, "a")
    assert BaseConnections.a.name == "{p}a"


def test_dimensions_may_be_assigned():
    def init(self, *, config=None):
        self.dimensions = {"tract"}

    assert instance(make_class({"__init__": init}, (BaseConnections,))).dimensions == {"tract"}


def test_unknown_connection_in_a_set_is_told():
    def init(self, *, config=None):
        self.inputs.add("nothing")

    with pytest.raises(AttributeError, match="`nothing`"):
        instance(make_class({"__init__": init}, (BaseConnections,)))


def test_connections_are_fixed_once_made():
    made = BaseConnections(config=BaseConfig())
    with pytest.raises(TypeError, match="fixed"):
        del made.a
    with pytest.raises(TypeError, match="fixed"):
        made.a = cT.Input(name="x", storageClass="D")


def test_connections_need_a_config():
    with pytest.raises(ValueError, match="config"):
        BaseConnections()


def test_deprecation_is_told_for_what_is_left():
    def init(self, *, config=None):
        del self.gone

    made = make_class(
        {
            "old": cT.Input(name="old", storageClass="D", deprecated="use new"),
            "gone": cT.Input(name="gone", storageClass="D", deprecated="use other"),
            "__init__": init,
        },
        dimensions=(),
    )
    config = make_config(made)()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        made(config=config)
    assert [warning.category for warning in told] == [FutureWarning]
    assert "`old`" in str(told[0].message)
    assert "test_connections.py" in str(told[0].message)


def test_config_class_needs_connections():
    with pytest.raises(NameError, match="pipelineConnections"):
        types.new_class("NoConfig", (PipelineTaskConfig,))
    with pytest.raises(ValueError, match="derived from PipelineTaskConnections"):
        types.new_class("NoConfig", (PipelineTaskConfig,), {"pipelineConnections": int})


def test_config_fields_are_those_of_connections_and_templates():
    config = BaseConfig()
    assert list(BaseConfig._fields) == ["saveLogOutput", "connections"]
    assert list(type(config.connections)._fields) == ["a", "many", "pre", "b", "i", "o", "p", "q"]
    with pytest.raises(AttributeError):
        config.connections.nothing = "x"
    config.connections.p = 3
    assert config.connections.p == "3"


def test_saved_config_imports_nothing_but_its_module():
    import io

    stream = io.StringIO()
    BaseConfig().saveToStream(stream)
    imports = [line for line in stream.getvalue().splitlines() if line.startswith("import ")]
    assert imports == [f"import {__name__}"]
    assert "config.connections.b='{p}{q}b'" in stream.getvalue()


def test_config_and_task_can_be_pickled(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or types.ModuleType(__name__))
    sys.modules[__name__].__dict__.update(BaseConfig=BaseConfig, BaseTask=BaseTask)
    config = BaseConfig()
    config.connections.p = "X"
    assert pickle.loads(pickle.dumps(config)).connections.p == "X"
    task = pickle.loads(pickle.dumps(BaseTask(config=config, initInputs={"i": 1})))
    assert task.config.connections.p == "X"


# What `adjustQuantum` does by itself


class Ref:
    """Stands for a reference: only its data ID is looked at."""

    def __init__(self, number):
        self.dataId = {"visit": number}


def adjust(**references):
    made = BaseConnections(config=BaseConfig())
    counts = {"a": 1, "many": 2, "pre": 1, "b": 1} | references
    given = {name: (made.allConnections[name], [Ref(n) for n in range(number)]) for name, number in counts.items()}
    outputs = {"b": given.pop("b")}
    return made.adjustQuantum(given, outputs, "label", {"visit": 0})


def test_enough_datasets_change_nothing():
    assert adjust() == ({}, {})


@pytest.mark.parametrize("counts", [{"a": 0}, {"many": 1}])
def test_too_few_inputs_are_no_work(counts):
    with pytest.raises(NoWorkFound):
        adjust(**counts)


def test_missing_prerequisite_is_an_error():
    with pytest.raises(FileNotFoundError, match=r"label\.pre"):
        adjust(pre=0)


@pytest.mark.parametrize("counts", [{"a": 2}, {"b": 2}, {"pre": 2}])
def test_several_datasets_for_one(counts):
    with pytest.raises(ScalarError, match="not `multiple`"):
        adjust(**counts)


def adjusting(hook):
    made = instance(make_class({"adjustQuantum": hook}, (BaseConnections,)))
    refs = [Ref(1), Ref(2)]
    helper = AdjustQuantumHelper({"many": refs, "Pa": refs[:1]}, {"PQb": refs[:1]})
    helper.adjust_in_place(made, "label", {"visit": 0})
    return helper


def test_helper_replaces_what_the_hook_returns():
    def hook(self, inputs, outputs, label, data_id):
        connection, refs = inputs["many"]
        return {"many": (connection, refs[:1])}, {"b": (outputs["b"][0], [])}

    helper = adjusting(hook)
    assert (len(helper.inputs["many"]), len(helper.inputs["Pa"]), len(helper.outputs["PQb"])) == (1, 1, 0)
    assert helper.inputs_adjusted
    assert helper.outputs_adjusted


def test_helper_refuses_datasets_not_given():
    def hook(self, inputs, outputs, label, data_id):
        return {"many": (inputs["many"][0], [Ref(9)])}, {}

    with pytest.raises(RuntimeError, match="not given"):
        adjusting(hook)


def test_helper_refuses_unknown_connections():
    def hook(self, inputs, outputs, label, data_id):
        return {"mani": inputs["many"]}, {}

    with pytest.raises(RuntimeError, match="did you mean `many`"):
        adjusting(hook)
