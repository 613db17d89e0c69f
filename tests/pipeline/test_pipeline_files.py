"""The YAML form of pipelines: what it means, and how mistakes are told."""

import logging

import pytest

from armillary.errors import ConfigurationError, ContractError
from armillary.pipeline import LabelSpecifier, Pipeline

FIRST = "pipeline.pipeline_tasks.FirstTask"
SECOND = "pipeline.pipeline_tasks.SecondTask"
HEAD = "description: d\ntasks:\n"
TWO = f"{HEAD}  a: {FIRST}\n  b: {SECOND}\n"
SUBSETS = "subsets:\n  one: [a]\n  both: {subset: [a, b], description: all}\n"


def read(text):
    return Pipeline.fromString(text)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("description: d\ntask:\n  a: x.Y\n", "did you mean `tasks`"),
        (HEAD + "  a: {clas: x.Y}\n", "did you mean `class`"),
    ],
)
def test_a_needed_key_that_is_misspelt_is_told_with_the_nearest(text, near, caplog):
    with caplog.at_level(logging.WARNING), pytest.raises((ValueError, KeyError), match=r"class|tasks"):
        read(text)
    assert near in caplog.text


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("tasks:\n  a: x.Y\n", ValueError, "needs a `description`"),
        ("description: d\n", ValueError, "needs `tasks`"),
        ("[a]", ValueError, "mapping"),
        ("", ValueError, "mapping"),
        (HEAD + "  a: x.Y\n  a: x.Z\n", KeyError, r"`a` appears twice.*line 4"),
        (HEAD + "  a: {class: x.Y, config: {p: 1, p: 2}}\n", KeyError, "`p` appears twice"),
        ("description: d\ninherits: x\ntasks: {}\n", ValueError, "use `imports`"),
        (TWO + "subset: [a]\n", ValueError, "use `subsets`"),
        (HEAD + "  a: {config: {}}\n", KeyError, "`a` has no `class`"),
        (HEAD + "  a: 3\n", ValueError, "write a class name"),
        (HEAD + "  a:\n", ValueError, "write a class name"),
        (HEAD + "  a: {class: x.Y, config: abc}\n", ValueError, "not a mapping"),
        (HEAD + "  a: {class: x.Y, config: [3]}\n", ValueError, "not a mapping"),
        ("description: d\ntasks: [a]\n", ValueError, "section `tasks`"),
        (TWO + "subsets: {s: [c]}\n", ValueError, "`s` names `c`"),
        (TWO + "subsets: {a: [a]}\n", ValueError, "both a task and a subset"),
        (TWO + "subsets: {s: {description: x}}\n", ValueError, "key `subset`"),
        (TWO + "steps: [{label: s, dimensions: []}]\n", ValueError, "`s` is not a subset"),
        (TWO + SUBSETS + "steps: [{label: one, dimensions: []}, {label: one, dimensions: []}]\n", ValueError, "twice"),
        (TWO + SUBSETS + "steps: [{label: one, dimension: []}]\n", TypeError, "did you mean `dimensions`"),
        (TWO + SUBSETS + "steps: [{label: one}]\n", TypeError, "needs the key `dimensions`"),
        (TWO + SUBSETS + "steps: {one: []}\n", TypeError, "list of mappings"),
        (TWO + "contracts: [{msg: x}]\n", TypeError, "key `contract`"),
        (TWO + "contracts: [{contract: x, mesg: y}]\n", TypeError, "did you mean `msg`"),
        (TWO + "parameters: [a]\n", ValueError, "section `parameters`"),
        (TWO + "instrument: [x.Y]\n", ValueError, "one instrument"),
        (HEAD + "  a: [\n", ConfigurationError, "line 4"),
        (HEAD + "  a: !!python/object/apply:os.getcwd []\n", ConfigurationError, "line 3"),
        (TWO + "imports: [{location: x.yaml, exclude: a, include: b}]\n", ValueError, "both `include` and `exclude`"),
        (TWO + "imports: [{location: x.yaml, labeledSubsetModifyMode: edit}]\n", ValueError, "did you mean `EDIT`"),
        (TWO + "imports: [{location: x.yaml, includes: b}]\n", TypeError, "did you mean `include`"),
        (TWO + "imports: [{include: b}]\n", TypeError, "needs a `location`"),
    ],
)
def test_mistakes_are_told(text, error, words):
    with pytest.raises(error, match=words):
        read(text)


def test_aliases_cannot_stand_for_more_than_they_say():
    lines = ["x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"x{n}: &x{n} [{', '.join(f'*x{n - 1}' for _ in range(10))}]" for n in range(1, 9)]
    with pytest.raises(ConfigurationError, match="aliases"):
        read("\n".join([*lines, TWO]))


def test_unknown_keys_are_told_with_the_nearest(caplog):
    with caplog.at_level(logging.WARNING):
        read(TWO + "subsetz: {}\n")
    assert "`subsetz`" in caplog.text
    assert "did you mean `subsets`" in caplog.text


def test_printed_form():
    text = (
        HEAD
        + f"  a:\n    class: {FIRST}\n    config:\n      k: 2\n      file: f.py\n      python: |\n        x = 1\n"
        + SUBSETS.replace("both: {subset: [a, b], description: all}", "none: []")
        + "contracts:\n  - a.k == 2\n  - {contract: a.f > 0, msg: positive}\n"
        + "parameters: {p: 1}\ninstrument: x.Cam\nsteps: [{label: one, dimensions: [visit]}]\n"
    )
    assert str(read(text)) == (
        "description: d\n"
        "instrument: x.Cam\n"
        "parameters:\n  p: 1\n"
        "tasks:\n"
        f"  a:\n    class: {FIRST}\n    config:\n"
        "    - python: |\n        x = 1\n      file:\n      - f.py\n      k: 2\n"
        "contracts:\n- contract: a.k == 2\n- contract: a.f > 0\n  msg: positive\n"
        "subsets:\n  one:\n    subset:\n    - a\n  none:\n    subset: []\n"
        "steps:\n- label: one\n  dimensions:\n  - visit\n"
    )


# Imports


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return Pipeline.from_uri(name)

    (tmp_path / "one.yaml").write_text(
        "description: one\ninstrument: x.One\nparameters: {p: 1, q: 2}\n"
        "tasks:\n  a: x.A\n  b: {class: x.B, config: {k: 1}}\n"
        "subsets:\n  s: [a, b]\n  t: [a]\ncontracts: [a.x == b.y, b.x == 1]\n"
        "steps: [{label: t, dimensions: [visit]}]\n"
    )
    (tmp_path / "two.yaml").write_text("description: two\nparameters: {p: 5}\ntasks: {c: x.C}\n")
    return write


def ir_of(pipeline):
    return pipeline._ir


def test_import_takes_everything(files):
    ir = ir_of(files("top.yaml", "description: top\nimports: [one.yaml, two.yaml]\n"))
    assert list(ir.tasks) == ["a", "b", "c"]
    assert ir.parameters.mapping == {"p": 5, "q": 2}
    assert [step.label for step in ir.steps] == ["t"]
    assert ir.instrument == "x.One"
    assert len(ir.contracts) == 2


def test_own_declarations_go_over_imported_ones(files):
    text = (
        "description: top\nimports: one.yaml\ntasks:\n  b: {class: x.B, config: {k: 2}}\nparameters: {p: 9}\n"
        "subsets: {s: [b]}\ncontracts: [b.k == 2]\n"
    )
    ir = ir_of(files("top.yaml", text))
    assert [block.rest for block in ir.tasks["b"].config] == [{"k": 1}, {"k": 2}]
    assert ir.parameters.mapping == {"p": 9, "q": 2}
    assert ir.labeled_subsets["s"].subset == {"b"}
    assert [item.contract for item in ir.contracts] == ["b.k == 2", "a.x == b.y", "b.x == 1"]


def test_other_class_drops_the_imported_config(files):
    ir = ir_of(files("top.yaml", "description: top\nimports: one.yaml\ntasks: {b: x.Other}\n"))
    assert (ir.tasks["b"].klass, ir.tasks["b"].config) == ("x.Other", [])


@pytest.mark.parametrize(
    ("options", "tasks", "subsets", "contracts"),
    [
        ("include: a", ["a"], {"t"}, 0),
        ("include: [t]", ["a"], {"t"}, 0),
        ("exclude: a", ["b"], set(), 1),
        ("exclude: a, labeledSubsetModifyMode: EDIT", ["b"], {"s", "t"}, 1),
        ("exclude: t", ["b"], set(), 1),
        ("exclude: []", [], set(), 0),
        ("importContracts: false", ["a", "b"], {"s", "t"}, 0),
    ],
)
def test_part_of_an_import(files, options, tasks, subsets, contracts):
    ir = ir_of(files("top.yaml", f"description: top\nimports: [{{location: one.yaml, {options}}}]\n"))
    assert list(ir.tasks) == tasks
    assert set(ir.labeled_subsets) == subsets
    assert len(ir.contracts) == contracts


def test_unknown_label_of_an_import_is_told(files, caplog):
    files("top.yaml", "description: top\nimports: [{location: one.yaml, include: [a, ss]}]\n")
    assert "`ss`" in caplog.text


def test_imported_tasks_can_be_renamed(files):
    ir = ir_of(files("top.yaml", "description: top\nimports: [{location: one.yaml, rename: {a: first}}]\n"))
    assert set(ir.tasks) == {"first", "b"}
    assert ir.labeled_subsets["s"].subset == {"first", "b"}
    assert ir.contracts[0].contract == "first.x == b.y"


@pytest.mark.parametrize(("given", "result"), [("None", None), ("x.Other", "x.Other")])
def test_instrument_of_an_import_can_be_replaced(files, given, result):
    ir = ir_of(files("top.yaml", f"description: top\nimports: [{{location: one.yaml, instrument: {given}}}]\n"))
    assert ir.instrument == result


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("imports: [one.yaml, one.yaml]\n", "`a`, `b`"),
        ("imports: [one.yaml]\ninstrument: x.Two\n", "one instrument"),
        ("imports: [one.yaml]\ntasks: {s: x.S}\n", "`s`"),
        ("imports: [one.yaml]\nsteps: [{label: t, dimensions: [detector]}]\n", "step `t`"),
    ],
)
def test_clashes_are_refused(files, text, words):
    with pytest.raises(ValueError, match=words):
        files("top.yaml", "description: top\n" + text)


def test_relative_imports_are_found_beside_the_file_too(files):
    files("sub/base.yaml", "description: base\ntasks: {z: x.Z}\n")
    assert list(files("sub/top.yaml", "description: top\nimports: base.yaml\n").task_labels) == ["z"]


def test_missing_file_names_where_it_was_asked_for(files):
    with pytest.raises(FileNotFoundError, match=r"none\.yaml") as caught:
        files("top.yaml", "description: top\nimports: none.yaml\n")
    assert any("top.yaml" in note for note in caught.value.__notes__)


def test_circular_imports_are_told(files):
    with pytest.raises(RecursionError, match="imports of"):
        files("top.yaml", "description: top\nimports: top.yaml\n")


# Selection


@pytest.mark.parametrize(
    ("selection", "labels"),
    [
        ("", {"a", "b"}),
        ("#a", {"a"}),
        ("#a,b", {"a", "b"}),
        ("#one", {"a"}),
        ("#a..b", {"a", "b"}),
        ("#b..", {"b"}),
        ("#..a", {"a"}),
        ("#..", {"a", "b"}),
    ],
)
def test_selection(tmp_path, selection, labels):
    (tmp_path / "p.yaml").write_text(TWO + SUBSETS)
    assert set(Pipeline.from_uri(f"{tmp_path}/p.yaml{selection}").task_labels) == labels


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        ("#zz", "`zz`"),
        ("#on", "did you mean `one`"),
        ("#a..b,a", "mixes a list"),
        ("#a..b..a", "more than one range"),
        ("#zz..", "no `begin`.*`zz`"),
        ("#..zz", "no `end`"),
        (":a", "write .*#a"),
    ],
)
def test_wrong_selections_are_told(tmp_path, selection, words):
    (tmp_path / "p.yaml").write_text(TWO + SUBSETS)
    with pytest.raises(ValueError, match=words):
        Pipeline.from_uri(f"{tmp_path}/p.yaml{selection}")


def test_parts_of_subsets_go_or_shrink():
    pipeline = read(TWO + SUBSETS)
    part = LabelSpecifier(labels={"a"})
    assert set(pipeline.subsetFromLabels(part).subsets) == {"one"}
    edited = pipeline.subsetFromLabels(part, Pipeline.PipelineSubsetCtrl.EDIT)
    assert edited.subsets["both"] == {"a"}


def test_specifier_takes_labels_or_a_range():
    with pytest.raises(ValueError, match="not by both"):
        LabelSpecifier(labels={"a"}, begin="b")


# Changing


def test_pipelines_are_changed_in_place():
    pipeline = Pipeline("mine")
    pipeline.addTask(FIRST, "a")
    pipeline.addTask(SECOND, "")
    pipeline.addInstrument("x.Cam")
    pipeline.addLabeledSubset("s", "words", {"a"})
    pipeline.addLabelToSubset("s", "second")
    assert pipeline.subsets["s"] == {"a", "second"}
    pipeline.removeLabelFromSubset("s", "a")
    assert pipeline.findSubsetsWithLabel("second") == {"s"}
    pipeline.removeTask("second")
    assert pipeline.subsets["s"] == set()
    pipeline.removeLabeledSubset("s")
    assert pipeline.getInstrument() == "x.Cam"
    assert len(pipeline) == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda p: p.addLabeledSubset("one", "", {"a"}), ValueError),
        (lambda p: p.addLabeledSubset("n", "", {"zz"}), ValueError),
        (lambda p: p.removeLabeledSubset("zz"), ValueError),
        (lambda p: p.addLabelToSubset("zz", "a"), ValueError),
        (lambda p: p.addLabelToSubset("one", "zz"), ValueError),
        (lambda p: p.removeLabelFromSubset("one", "b"), ValueError),
        (lambda p: p.removeTask("zz"), KeyError),
        (lambda p: p.addTask(FIRST, "one"), ValueError),
        (lambda p: p.addConfigOverride("zz", "k", 1), LookupError),
        (lambda p: p.addConfigFile("zz", "f"), LookupError),
        (lambda p: p.addConfigFile("parameters", "f"), ValueError),
        (lambda p: p.addConfigPython("parameters", "x"), ValueError),
        (lambda p: p.findSubsetsWithLabel("zz"), ValueError),
    ],
)
def test_wrong_changes_are_refused(change, error):
    pipeline = read(TWO + SUBSETS)
    before = str(pipeline)
    with pytest.raises(error):
        change(pipeline)
    assert str(pipeline) == before


def test_merge_puts_the_other_under():
    pipeline = read(TWO)
    pipeline.mergePipeline(read("description: e\ntasks: {z: x.Z}\nparameters: {x: 1}\n"))
    assert list(pipeline.task_labels) == ["z", "a", "b"]
    assert pipeline.description == "d"


def test_copies_are_independent():
    pipeline = read(TWO)
    copy = Pipeline.fromPipeline(pipeline)
    assert copy == pipeline
    copy.addConfigOverride("a", "k", 3)
    assert copy != pipeline
    assert "k: 3" not in str(pipeline)


def test_written_file_reads_the_same(tmp_path):
    pipeline = read(TWO + SUBSETS)
    pipeline.write_to_uri(str(tmp_path / "out.yaml"))
    assert Pipeline.fromFile(str(tmp_path / "out.yaml")) == pipeline


# Configs


def config_of(body, parameters="", overrides=()):
    text = f"{HEAD}  a:\n    class: {FIRST}\n    config:\n"
    pipeline = read(text + "".join(f"      {line}\n" for line in body.splitlines()) + parameters)
    for field, value in overrides:
        pipeline.addConfigOverride("a", field, value)
    return pipeline.to_graph().tasks["a"].config


def test_text_is_read_as_a_literal_where_it_is_one():
    config = config_of("k: '5'\nb: 'True'\nwords: [a, \"'b'\"]\nnumbers: ['1', 2]\nd: {a: '3'}\npart.x: 4\ns: a b")
    assert (config.k, config.b, list(config.words), list(config.numbers)) == (5, True, ["a", "b"], [1, 2])
    assert (dict(config.d), config.part.x, config.s) == ({"a": 3}, 4, "a b")


def test_none_is_a_literal():
    assert config_of("s: None").s is None
    assert config_of("s: null").s is None


@pytest.mark.parametrize("text", ["__import__('os').getcwd()", "len([1])", "int", "a.b"])
def test_nothing_is_computed_from_text(text):
    assert config_of(f'words: ["{text}"]').words[0] == text


def test_files_come_before_python_before_fields(tmp_path):
    (tmp_path / "f.py").write_text("config.k = 1\nconfig.f = 1.5\nconfig.s = 'file'\n")
    config = config_of(f"k: 3\npython: config.k = 2; config.f = 2.5\nfile: {tmp_path}/f.py")
    assert (config.k, config.f, config.s) == (3, 2.5, "file")


def test_blocks_come_in_their_order(tmp_path):
    (tmp_path / "f.py").write_text("config.k = parameters.n\n")
    config = config_of(f"- k: 3\n- python: config.k = 2\n- file: {tmp_path}/f.py", "parameters: {n: 7}\n")
    assert config.k == 7


def test_names_of_python_blocks_can_be_values():
    assert config_of("- python: limit = 9\n- numbers: [limit, 2]").numbers[0] == 9


def test_parameters_fill_values():
    config = config_of("k: parameters.n\nnumbers: parameters.l", "parameters: {n: '9', l: [1, 2]}\n")
    assert (config.k, list(config.numbers)) == (9, [1, 2])


def test_unknown_parameter_is_told(caplog):
    assert config_of("s: parameters.nn", "parameters: {n: 1}\n").s == "parameters.nn"
    assert "did you mean `n`" in caplog.text
    with pytest.raises(AttributeError, match="no parameter `nn`"):
        config_of("python: config.k = parameters.nn", "parameters: {n: 1}\n")


def test_parameters_can_be_overridden():
    pipeline = read(f"{HEAD}  a: {{class: {FIRST}, config: {{k: parameters.n}}}}\nparameters: {{n: 1}}\n")
    pipeline.addConfigOverride("parameters", "n", 4)
    assert pipeline.to_graph().tasks["a"].config.k == 4


def test_overrides_come_last():
    assert config_of("k: 2", overrides=[("k", "9")]).k == 9


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        ("zz: 1", AttributeError, "task `a`, `FirstConfig`, has no field `zz`"),
        ("word: [x]", AttributeError, "did you mean `words`"),
        ("part.y: 1", AttributeError, r"no field `y` \(in `part\.y`\)"),
        ("none.y: 1", AttributeError, "no field `none`"),
        ("k: abc", ValueError, "incorrect type"),
        ("python: config.k = 1/0", ZeroDivisionError, "division"),
        ("file: none.py", FileNotFoundError, "none.py"),
        ("dataId: {visit: 3}", NotImplementedError, "dataId"),
    ],
)
def test_wrong_configs_are_told(body, error, words):
    with pytest.raises(error, match=words):
        config_of(body)


def test_errors_say_which_task(tmp_path):
    with pytest.raises(ValueError) as caught:
        config_of("k: abc")
    assert caught.value.__notes__ == ["from `k` in the config of task `a`"]


# Contracts and classes


@pytest.mark.parametrize(
    ("contract", "words"),
    [
        ("first.k == 1", r"contract `first.k == 1` cannot be evaluated: name 'first' is not defined$"),
        ("aa.k == 1", "did you mean `a`"),
        ("a.kk == 1", "no attribute 'kk'"),
        ("a.k ==", "cannot be evaluated: invalid syntax"),
    ],
)
def test_a_contract_that_cannot_be_evaluated_is_named(contract, words):
    with pytest.raises(ContractError, match=words):
        read(f'{TWO}contracts: ["{contract}"]\n').to_graph()


@pytest.mark.parametrize("contract", ["a.k == 1", "a.connections.p == 'P'", "len(a.words) == 0", "a.k == b.k"])
def test_true_contracts_pass(contract):
    assert len(read(f'{TWO}contracts: ["{contract}"]\n').to_graph().tasks) == 2


def test_false_contract_is_told_with_its_message():
    with pytest.raises(ContractError, match=r"Contract\(s\) 'a.k == 2' were not satisfied: sorry"):
        read(f"{TWO}contracts: [a.k == 1, {{contract: a.k == 2, msg: sorry}}]\n").to_graph()


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("pipeline.pipeline_tasks.FirstTsk", ImportError, "did you mean `FirstTask`"),
        ("nomodule.Task", ModuleNotFoundError, "no module is called `nomodule`"),
        ("Task", ModuleNotFoundError, "no full class name"),
        ("pipeline.pipeline_tasks.NoTask", TypeError, "no PipelineTask"),
    ],
)
def test_wrong_classes_are_told(name, error, words):
    with pytest.raises(error, match=words):
        read(f"{HEAD}  a: {name}\n").to_graph()


def test_reading_imports_nothing(tmp_path, monkeypatch):
    import sys

    (tmp_path / "tells_when_imported.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    pipeline = read(f"{HEAD}  a: tells_when_imported.Task\ncontracts: [a.k == 1]\n")
    assert "tells_when_imported" not in sys.modules
    with pytest.raises(AssertionError):
        pipeline.to_graph()
