import doctest
import json
import logging
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time

import armillary.storage.formatters.pex_config
import armillary.storage.formatters.pickle
import armillary.storage.location
import armillary.storage.log_records
import armillary.storage.metrics
import armillary.storage.provenance
from armillary.errors import FormatterNotImplementedError, UntrustedContentError
from armillary.storage.datastore_config import Formatters, formatter_class, make_formatter
from armillary.storage.formatter import Formatter, FormatterV2
from armillary.storage.formatters import parquet
from armillary.storage.formatters.pickle import restricted_loads
from armillary.storage.formatters.yaml import YamlFormatter
from armillary.storage.location import FileDescriptor, Location
from armillary.storage.log_records import ButlerLogRecord, ButlerLogRecordHandler, ButlerLogRecords, ButlerMDC
from armillary.storage.metrics import Measurement, MetricMeasurementBundle
from armillary.storage.named_objects import trust_module
from armillary.storage.provenance import DatasetProvenance
from armillary.storage.storage_class import StorageClass, find_storage_class


@pytest.fixture
def formatter_for(universe, make_ref, tmp_path):
    from armillary.config import default_section

    formatters = Formatters(default_section("datastore")["formatters"], universe)

    def make(storage_class, path, *, component=None, parameters=None, read_as=None):
        ref = make_ref(storage_class)
        entry = formatters.find(ref)
        written = find_storage_class(storage_class)
        read = find_storage_class(read_as) if read_as else (written.component(component) if component else written)
        descriptor = FileDescriptor(Location(None, str(path)), written, read, component, parameters)
        return make_formatter(entry.name, descriptor, ref, write_parameters=entry.write_parameters)

    return make


@pytest.fixture
def round_trip(formatter_for, tmp_path):
    """Write an object and read it, all or a part, as it is or converted."""

    def go(storage_class, value, **reading):
        writer = formatter_for(storage_class, tmp_path / "file")
        path = tmp_path / f"file{writer.get_write_extension()}"
        writer.write_path(writer.add_provenance(value), str(path))
        return formatter_for(storage_class, path, **reading).read(reading.get("component"))

    return go


def table_of_everything():
    table = Table(
        {
            "x": [1, 2],
            "s": ["a", "bç"],
            "b": [b"x", b"yz"],
            "m": np.arange(4.0).reshape(2, 2),
            "c": np.arange(8, dtype=np.float32).reshape(2, 2, 2),
            "k": [True, False],
            "big": np.array([1, 2], dtype=">i4"),
        }
    )
    table["q"] = MaskedColumn([1, 2], mask=[True, False])
    table["qs"] = MaskedColumn(["a", "b"], mask=[True, False])
    table["x"].unit = "m"
    table["x"].description = "an x"
    table.meta["k"] = "v"
    return table


def same_table(left, right):
    assert left.colnames == right.colnames
    for name in left.colnames:
        assert left[name].shape == right[name].shape
        assert left[name].dtype.newbyteorder("=") == right[name].dtype.newbyteorder("=")
        assert np.ma.allequal(left[name], right[name], fill_value=False) or np.array_equal(
            np.ma.getmaskarray(left[name]), np.ma.getmaskarray(right[name])
        )
        assert (left[name].unit, left[name].description) == (right[name].unit, right[name].description)


PLAIN = [
    ("int", 3),
    ("int", True),
    ("StructuredDataDict", {}),
    ("StructuredDataDict", {"b": 1, "a": [1, {"x": None, "y": 2.5}], "é": "ü", "n": {"d": {}}}),
    ("NumpyArray", np.arange(3)),
    ("NumpyArray", np.arange(24, dtype=">f4").reshape(2, 3, 4)[:, ::2]),
    ("NumpyArray", np.array(2.5)),
    ("NumpyArray", np.array(["a", "bç"])),
    ("NumpyArray", np.zeros(2, dtype=[("a", "f8"), ("b", "U3")])),
]


@pytest.mark.parametrize("storage_class, value", PLAIN)
def test_plain_values_come_back(round_trip, storage_class, value):
    found = round_trip(storage_class, value)
    if isinstance(value, np.ndarray):
        assert (found.dtype.kind, found.dtype.itemsize) == (value.dtype.kind, value.dtype.itemsize)
        np.testing.assert_array_equal(found, value)
    else:
        assert found == value


def test_astropy_tables_come_back(round_trip):
    table = table_of_everything()
    same_table(round_trip("ArrowAstropy", table), table)
    text = table["x", "s", "q", "qs"]
    found = round_trip("AstropyTable", text)
    same_table(found, text)
    assert found.meta["k"] == "v"


def test_a_table_that_was_read_is_as_one_made_by_hand(round_trip):
    """Columns are made without astropy's constructor; what it sets has to be there, and belong to each column alone."""
    given = Table({"x": [1.0, 2.0, 3.0], "s": ["a", "b", "ç"], "n": [3, 1, 2]}, descriptions={"x": "a place"})
    found = round_trip("ArrowAstropy", given)
    for name in given.colnames:
        made = Table({name: np.array(given[name])}, copy=False)[name]
        assert type(found[name]) is type(made)
        assert found[name].__dict__.keys() | {"info"} == made.__dict__.keys()
        assert found[name].parent_table is found
        assert found[name].data.flags.writeable
    assert found["n"].meta is not found["x"].meta
    found["n"].meta["k"] = 1
    assert round_trip("ArrowAstropy", given)["n"].meta == {}
    found.sort("n")
    found.rename_column("n", "m")
    found.add_index("m")
    assert found.loc[2]["m"] == 2
    assert found["m"].tolist() == [1, 2, 3]
    assert pickle.loads(pickle.dumps(found)).colnames == ["x", "s", "m"]
    assert given["n"].tolist() == [3, 1, 2]


def test_one_arrow_table_gives_several_tables():
    table = pa.table({"n": [3, 1, 2]})
    first, second = parquet.arrow_to_astropy(table), parquet.arrow_to_astropy(table)
    first["n"][0] = 7
    assert second["n"].tolist() == [3, 1, 2]
    assert table["n"].to_pylist() == [3, 1, 2]


def test_quantities_and_times_come_back(round_trip):
    table = QTable({"x": [1.0, 2.0] * u.m, "t": Time([50000.0, 50001.0], format="mjd")})
    for storage_class in ("AstropyQTable", "ArrowAstropy"):
        found = round_trip(storage_class, table)
        assert found["t"][1] == table["t"][1]
    assert round_trip("AstropyQTable", table)["x"].unit == u.m
    part = round_trip("ArrowAstropy", table, parameters={"columns": "x"})
    assert part.colnames == ["x"]
    assert part["x"].unit == u.m


def test_meta_data_is_left_out_unless_asked_for(round_trip):
    table = table_of_everything()
    assert round_trip("ArrowAstropy", table).meta == {}
    kept = round_trip("ArrowAstropy", table, parameters={"strip_astropy_meta_yaml": False}).meta
    assert kept["k"] == "v"
    assert kept["LSST.BUTLER.RUN"] == "run"
    assert table.meta == {"k": "v"}, "writing must not change the object"


def test_tables_of_all_kinds_come_back_as_all_kinds(round_trip):
    pd = pytest.importorskip("pandas")
    columns = {"i": np.array([1, 2]), "s": np.array(["ab", "c"]), "f": np.array([1.5, np.nan])}
    kinds = {
        "ArrowAstropy": Table(columns),
        "ArrowNumpy": parquet.numpy_dict_to_numpy(columns),
        "ArrowNumpyDict": columns,
        "ArrowTable": pa.table(columns),
        "DataFrame": pd.DataFrame(columns),
    }
    for written, value in kinds.items():
        for read in kinds:
            found = round_trip(written, value, read_as=read)
            assert isinstance(found, find_storage_class(read).pytype)
            np.testing.assert_array_equal(np.asarray(found["f"]), columns["f"])
            assert [str(one) for one in found["s"]] == ["ab", "c"]


def test_a_table_of_another_kind_is_written_as_it_is(round_trip):
    assert round_trip("ArrowTable", Table({"a": [1]})).column_names == ["a"]


def test_components_of_tables(round_trip):
    table = table_of_everything()
    assert round_trip("ArrowAstropy", table, component="rowcount") == 2
    assert round_trip("ArrowAstropy", table, component="columns") == table.colnames
    schema = round_trip("ArrowAstropy", table, component="schema").schema
    assert schema["x"].unit == u.m
    assert schema["c"].shape == (0, 2, 2)
    assert len(schema) == 0
    assert round_trip("ArrowNumpy", np.zeros(1, [("a", "U5")]), component="schema").schema == np.dtype([("a", "<U5")])


@pytest.mark.parametrize(
    "asked, names",
    [
        ("x*", ["x", "xy"]),
        (["s", "x"], ["s", "x"]),
        (["x", "x*"], ["x", "xy"]),
        ([], []),
        ("[sx]", ["x", "s"]),
    ],
)
def test_columns_by_name_and_glob(round_trip, asked, names):
    table = Table({"x": [1], "xy": [2], "s": ["a"]})
    assert round_trip("ArrowAstropy", table, parameters={"columns": asked}).colnames == names


@pytest.mark.parametrize("asked", ["zz", "X*", ["x", "q"]])
def test_columns_that_are_not_there(round_trip, asked):
    with pytest.raises(ValueError, match="not available in parquet file"):
        round_trip("ArrowAstropy", Table({"x": [1]}), parameters={"columns": asked})


def test_filters_are_refused(round_trip):
    with pytest.raises(ValueError, match="Unsupported parameters"):
        round_trip("ArrowAstropy", Table({"x": [1]}), parameters={"filters": [("x", "==", 1)]})


def test_frames_with_several_levels(round_trip):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        np.arange(4.0).reshape(2, 2), columns=pd.MultiIndex.from_tuples([("g", "a"), ("r", "b")], names=["f", "c"])
    )
    pd.testing.assert_frame_equal(round_trip("DataFrame", frame), frame)
    assert list(round_trip("DataFrame", frame, component="columns")) == [("g", "a"), ("r", "b")]
    assert list(round_trip("DataFrame", frame, parameters={"columns": {"f": "g"}}).columns) == [("g", "a")]
    with pytest.raises(ValueError, match=r"levels \['f', 'c'\]"):
        round_trip("DataFrame", frame, parameters={"columns": {"q": "g"}})


def test_nulls_are_masked():
    table = pa.table(
        {
            "i": [1, None],
            "s": ["q", None],
            "f": [1.5, None],
            "k": [True, None],
            "b": pa.array([b"x", None]),
            "t": pa.array([1, None], pa.timestamp("ns")),
            "l": [[1, 2], [3]],
            "d": pa.array(["a", "b"]).dictionary_encode(),
        }
    )
    found = parquet.arrow_to_numpy_dict(table)
    for name in "isfkbt":
        assert list(np.ma.getmaskarray(found[name])) == [False, True], name
    assert found["t"].dtype == "<M8[ns]"
    assert found["l"].dtype.kind == "O"
    assert list(found["d"]) == ["a", "b"]
    assert parquet.arrow_to_astropy(table)["i"].mask.tolist() == [False, True]


def test_an_empty_table_keeps_its_types(round_trip):
    table = table_of_everything()[:0]
    found = round_trip("ArrowAstropy", table)
    assert len(found) == 0
    assert found["s"].dtype == table["s"].dtype
    assert found["c"].shape == (0, 2, 2)
    assert round_trip("ArrowAstropy", Table(), component="rowcount") == 0


@pytest.mark.parametrize(
    "value", [np.arange(3), Table({"a": [object()]}), {"a": [1], "b": np.arange(2)}, {"a": np.array(1)}]
)
def test_what_is_no_table_is_refused(value, formatter_for, tmp_path):
    with pytest.raises(ValueError):
        formatter_for("ArrowAstropy", tmp_path / "x").write_path(value, str(tmp_path / "x.parq"))


class Run:
    """A pickle of this runs code when read."""

    def __reduce__(self):
        return os.system, ("touch armillary_pickle_ran",)


class TestPickle:
    @pytest.mark.parametrize(
        "value", [Run(), [Run()], {"a": np.array([Run()], dtype=object)}, logging.getLogger, Path("/x"), np.load]
    )
    def test_code_does_not_run(self, value, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UntrustedContentError, match="ARMILLARY_TRUSTED_PICKLES"):
            restricted_loads(pickle.dumps(value))
        assert list(tmp_path.iterdir()) == []

    def test_hand_made_opcodes_do_not_run(self):
        for content in (
            b"cos\nsystem\n(S'id'\ntR.",
            b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
            b"Pabc\n.",
        ):
            with pytest.raises(UntrustedContentError):
                restricted_loads(content)

    def test_dotted_names_do_not_reach_further(self):
        content = b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.dumps\x93."
        with pytest.raises(UntrustedContentError):
            restricted_loads(content)

    @pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x05", pickle.dumps(np.arange(9))[:-9]])
    def test_damage_is_a_value_error(self, content):
        with pytest.raises(ValueError, match="not a pickle"):
            restricted_loads(content)

    def test_a_trusted_class_is_read(self, monkeypatch):
        content = pickle.dumps(Path("/x"))
        monkeypatch.setenv("ARMILLARY_TRUSTED_PICKLES", "pathlib")
        assert restricted_loads(content) == Path("/x")

    def test_arrays_of_older_numpy_are_read(self):
        content = pickle.dumps(np.arange(3), protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
        np.testing.assert_array_equal(restricted_loads(content), np.arange(3))


CONFIG_MODULE = """
import lsst.pex.config as pexConfig

class Inner(pexConfig.Config):
    y = pexConfig.Field(doc="y", dtype=float, default=float("nan"))

class Task:
    ConfigClass = Inner

class Settings(pexConfig.Config):
    x = pexConfig.Field(doc="an x", dtype=int, default=3)
    numbers = pexConfig.ListField(doc="numbers", dtype=float, default=[1, -2, float("inf")])
    names = pexConfig.DictField(doc="names", keytype=str, itemtype=int, default={"a": 1})
    inner = pexConfig.ConfigField(doc="inner", dtype=Inner)
    task = pexConfig.ConfigurableField(doc="task", target=Task)
    many = pexConfig.ConfigDictField(doc="many", keytype=str, itemtype=Inner, default={})
    text = pexConfig.Field(doc="text", dtype=str, default=None, optional=True)
"""


@pytest.fixture
def settings(tmp_path, monkeypatch):
    (tmp_path / "armillary_probe_settings.py").write_text(CONFIG_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    import armillary_probe_settings as module

    made = module.Settings()
    made.x, made.text = 5, "é'\"\n"
    made.many["k"] = module.Inner()
    made.many["k"].y = 2.5
    return made


class TestConfig:
    def test_comes_back(self, round_trip, settings):
        found = round_trip("Config", settings)
        assert type(found) is type(settings)
        assert (found.x, found.text, found.many["k"].y, list(found.numbers)) == (
            5,
            "é'\"\n",
            2.5,
            [1, -2, float("inf")],
        )

    @pytest.mark.parametrize(
        "text",
        [
            "import os\nos.system('touch ran')",
            "import os\nassert type(config) is a.B\nconfig.x=os.system('touch ran')",
            "assert type(config) is a.B\nconfig.x=__import__('os')",
            "assert type(config) is a.B\nconfig.__class__=3",
            "import subprocess\nassert type(config) is subprocess.Popen\nconfig.x=1",
            "import os\nassert type(config) is os.abort",
            "import os as x\nassert type(config) is a.B",
            "from os import system\nassert type(config) is a.B",
            "for i in x: pass",
            "assert type(config) is a.B, (lambda: 1)()\nconfig.x=(lambda: 3)()",
            "assert type(config) is a.B\nconfig.x=[i for i in (1,)]",
            "import os\nassert type(config) is a.B\nconfig.d['x']=os.abort()",
            "assert open('x') is a.B",
            "config.x.retarget(target=eval('1'))",
            "config.x.load('evil.py')",
        ],
    )
    def test_a_program_is_not_run(self, text, formatter_for, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "x.py").write_text(text)
        with pytest.raises(UntrustedContentError):
            formatter_for("Config", tmp_path / "x.py").read()
        assert [path.name for path in tmp_path.iterdir()] == ["x.py"]

    @pytest.mark.parametrize("text", ["", "(((", "config.x=1", "x" * 10])
    def test_what_is_no_configuration(self, text, formatter_for, tmp_path):
        (tmp_path / "x.py").write_text(text)
        with pytest.raises((ValueError, UntrustedContentError)):
            formatter_for("Config", tmp_path / "x.py").read()


def test_the_peer_s_samples_are_read(formatter_for, shared_path):
    folder = shared_path("contract-fixtures/formatter-samples")

    def read(storage_class, extension, **reading):
        path = folder / f"t_{storage_class}_run{extension}"
        return formatter_for(storage_class, path, **reading).read(reading.get("component"))

    assert read("int", ".json") == 3
    assert read("StructuredDataDict", ".yaml") == {"b": 1, "a": [1, {"x": None}], "é": "ü"}
    np.testing.assert_array_equal(read("NumpyArray", ".pickle"), np.arange(3))
    assert read("AstropyTable", ".ecsv").meta["q"] == 1
    assert read("AstropyQTable", ".ecsv")["x"].unit == u.m
    table = read("ArrowAstropy", ".parq")
    assert (table["x"].unit, table["x"].description, table["m"].shape) == (u.m, "an x", (2, 2))
    assert read("ArrowNumpy", ".parq")["s"][0] == "ab"
    assert read("ArrowNumpy", ".parq").dtype["s"] == np.dtype("<U5")
    assert list(read("ArrowNumpyDict", ".parq")) == ["i", "s"]
    assert read("ArrowTable", ".parq").to_pydict() == {"i": [1], "s": ["q"]}
    assert read("ArrowSchema", ".parq").names == ["i"]
    frame = read("DataFrame", ".parq")
    assert (frame.index.name, list(frame.index), list(frame["s"])) == ("id", [5], ["q"])
    records = read("ButlerLogRecords", ".json")
    assert records[0].message == "hello w"
    assert str(records) == "INFO 2026-11-22T12:36:06.310559+00:00 demo.log fmt.py:13 - hello w"


class TestLogRecords:
    LINE = (
        '{"name":"a","asctime":"2026-11-22T12:36:06.310559Z","message":"m","levelno":20,"levelname":"INFO",'
        '"filename":"f","pathname":"p","lineno":1,"funcName":"x","process":1,"processName":"P","MDC":{"A":"b"}}'
    )

    def test_every_form_is_read(self):
        for text in (f"[{self.LINE}]", self.LINE, f"{self.LINE}\n{self.LINE}\n"):
            assert ButlerLogRecords.from_raw(text)[0].MDC == {"A": "b"}
        assert len(ButlerLogRecords.from_raw("")) == 0
        for text in ("xx", "{}", "3"):
            with pytest.raises(ValueError):
                ButlerLogRecords.from_raw(text)

    def test_written_as_the_peer_writes(self, shared_path):
        text = shared_path("contract-fixtures/formatter-samples/t_ButlerLogRecords_run.json").read_text()
        assert ButlerLogRecords.from_raw(text).to_json_data() == text
        extra = ButlerLogRecords.from_records([], {"exception": None})
        assert json.loads(extra.to_json_data())["exception"] is None
        assert ButlerLogRecords.from_raw(extra.to_json_data()).extra == {"exception": None}

    def test_records_of_logging(self, round_trip):
        records = ButlerLogRecords()
        try:
            raise ValueError("boom")
        except ValueError:
            import sys

            records.append(logging.LogRecord("n", logging.ERROR, "/p/f.py", 3, "hello %s", ("w",), sys.exc_info()))
        found = round_trip("ButlerLogRecords", records)
        assert found == records
        assert found[0].message == "hello w"
        assert "ValueError: boom" in str(found)
        with pytest.raises(ValueError, match="is not a log record"):
            records.append("x")
        with pytest.raises(ValueError, match="lacks"):
            ButlerLogRecord(name="x")


def test_a_handler_keeps_records_with_their_labels():
    handler = ButlerLogRecordHandler()
    log = logging.getLogger("armillary.test.labels")
    log.addHandler(handler)
    log.propagate = False
    with ButlerMDC.set_mdc({"LABEL": "isr"}):
        assert ButlerMDC.MDC("EXTRA", "1") == ""
        log.warning("inside %d", 1)
        ButlerMDC.MDCRemove("EXTRA")
        log.warning("inside %d", 2)
    log.warning("outside")
    log.removeHandler(handler)
    assert [(one.message, one.MDC) for one in handler.records] == [
        ("inside 1", {"LABEL": "isr", "EXTRA": "1"}),
        ("inside 2", {"LABEL": "isr"}),
        ("outside", {}),
    ]


def test_bundles_of_measurements_print_and_come_back(round_trip):
    bundle = MetricMeasurementBundle(
        {"e1Diff": [Measurement("g_median", 0.0088 * u.pix), Measurement("g_count", 28, "ct")]}, timestamp_version="now"
    )
    assert repr(bundle) == (
        "{'e1Diff': [Measurement('g_median', <Quantity 0.0088 pix>), Measurement('g_count', <Quantity 28. ct>)]}"
    )
    found = round_trip("MetricMeasurementBundle", bundle)
    assert found == bundle
    assert found.timestamp_version == "now"
    assert np.isnan(
        round_trip("MetricMeasurementBundle", MetricMeasurementBundle({"a": [Measurement("b")]}))["a"][0].quantity
    )
    for text in ("[]", '{"a": [1]}', "x"):
        with pytest.raises(ValueError):
            MetricMeasurementBundle.model_validate_json(text)


def test_pictures_are_written_and_not_read(round_trip):
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2])
    with pytest.raises(FormatterNotImplementedError, match="cannot read"):
        round_trip("Plot", figure)


class TestOwnFormatters:
    """A user's classes of both generations."""

    class Text(FormatterV2):
        default_extension = ".txt"
        can_read_from_uri = True
        can_read_from_stream = True
        unsupported_parameters = frozenset({"upper"})

        def read_from_stream(self, stream, component=None, expected_size=-1):
            return stream.read().decode()

        def write_local_file(self, in_memory_dataset, uri):
            Path(uri.ospath).write_text(in_memory_dataset)

    class Old(Formatter):
        extension = ".old"

        def read(self, component=None):
            return Path(self.fileDescriptor.location.path).read_text()

        def write(self, inMemoryDataset):
            Path(self.fileDescriptor.location.path).write_text(inMemoryDataset)

    class OldBytes(Formatter):
        extension = ".old"

        def fromBytes(self, serializedDataset, component=None):
            return serializedDataset.decode()

        def toBytes(self, inMemoryDataset):
            return inMemoryDataset.encode()

    @pytest.mark.parametrize("name", ["Text", "Old", "OldBytes"])
    def test_write_and_read(self, name, make_ref, tmp_path):
        cls = getattr(self, name)
        storage_class = StorageClass("text", pytype=str)
        path = tmp_path / "a b#1"
        descriptor = FileDescriptor(Location(None, str(path)), storage_class)
        formatter = make_formatter(cls, descriptor, make_ref("int"))
        assert formatter.get_write_extension() in (".txt", ".old")
        formatter.write_path("hello", str(path))
        assert path.read_text() == "hello"
        assert formatter.read() == "hello"

    def test_others_are_no_formatters(self):
        trust_module("tests")
        for wrong in (int, "lsst.daf.butler.ButlerLogRecords"):
            with pytest.raises(TypeError, match="is not a formatter"):
                formatter_class(wrong)

    def test_parameters_are_divided(self, make_ref):
        descriptor = FileDescriptor(Location(None, "x"), find_storage_class("int"), parameters={"upper": 1, "lower": 2})
        assert self.Text(descriptor, ref=make_ref("int")).segregate_parameters() == ({"lower": 2}, {"upper": 1})


def test_provenance_keys(make_ref):
    ref = make_ref("int", dimensions=["detector"], mapping={"instrument": "I", "detector": 3})
    other = make_ref("int", name="input")
    provenance = DatasetProvenance()
    provenance.add_input(other)
    provenance.add_input(other)
    provenance.add_extra_provenance(other.id, {"a": 1})
    flat = provenance.to_flat_dict(ref, prefix="q.r")
    assert flat == {
        "q.r.id": ref.id,
        "q.r.run": "run",
        "q.r.datasettype": "thing",
        "q.r.dataid.detector": 3,
        "q.r.dataid.instrument": "I",
        "q.r.n_inputs": 1,
        "q.r.input.0.id": other.id,
        "q.r.input.0.run": "run",
        "q.r.input.0.datasettype": "input",
        "q.r.input.0.a": 1,
    }
    flat["other"] = 1
    DatasetProvenance.strip_provenance_from_flat_dict(flat)
    assert flat == {"other": 1}
    assert provenance.to_flat_dict(None, prefix="X", sep=" ", max_inputs=0) == {"X N_INPUTS": 1}
    with pytest.raises(ValueError, match="is not an input"):
        provenance.add_extra_provenance(ref.id, {})


def test_schemas_convert():
    arrow = parquet.astropy_to_arrow(table_of_everything()).schema
    astropy_schema = parquet.ArrowAstropySchema.from_arrow(arrow)
    numpy_schema = astropy_schema.to_arrow_numpy_schema()
    assert numpy_schema.to_arrow_astropy_schema().to_arrow_numpy_schema() == numpy_schema
    assert parquet.ArrowAstropySchema.from_arrow(astropy_schema.to_arrow_schema()) == astropy_schema
    assert list(astropy_schema.to_dataframe_schema().schema.columns) == arrow.names


def test_row_groups_are_sized_by_bytes():
    schema = pa.schema([("a", pa.int64()), ("b", pa.list_(pa.float32(), 2)), ("s", pa.string())])
    assert parquet.compute_row_group_size(schema) == 1_000_000_000 // (8 + 8 + 64)


@pytest.mark.parametrize(
    "module",
    [
        armillary.storage.formatters.pex_config,
        armillary.storage.formatters.pickle,
        armillary.storage.location,
        armillary.storage.log_records,
        armillary.storage.metrics,
        armillary.storage.provenance,
    ],
)
def test_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    "text",
    [
        "{a: !!set {x}, b: 2020-01-01}",
        "{a: 2020-01-01 01:02:03.5, b: 1:30, c: 0x1F, d: .nan}",
        "{a: &a [1], b: *a}",
        "{}",
    ],
)
def test_yaml_is_read_as_its_library_reads_it(text):
    descriptor = FileDescriptor(Location("/", "a.yaml"), find_storage_class("StructuredDataDict"))
    assert repr(YamlFormatter(descriptor, ref=None).from_bytes(text.encode())) == repr(yaml.safe_load(text))


@pytest.mark.parametrize("text", [b"a: [", b"\xff: 1", b"{a: !!python/name:os.system }"])
def test_what_yaml_is_not_is_said_by_its_library(text):
    descriptor = FileDescriptor(Location("/", "a.yaml"), find_storage_class("StructuredDataDict"))
    with pytest.raises(yaml.YAMLError):
        YamlFormatter(descriptor, ref=None).from_bytes(text)
