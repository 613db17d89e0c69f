"""Cases of graph building, run under the peer or under armillary; prints the outcome of each as JSON.

Arguments: folder of the bench scripts, repository (it is written to), `peer` or `ours`.
"""

import importlib
import json
import sys
import types

bench, repository, who = sys.argv[1:4]
sys.path.insert(0, bench)
sys.modules["h"] = types.ModuleType("h")
pipe_name, butler_name = {
    "peer": ("lsst.pipe.base", "lsst.daf.butler"),
    "ours": ("armillary.pipeline", "armillary.butler"),
}[who]
pb = importlib.import_module(pipe_name)
db = importlib.import_module(butler_name)
cT = pb.connectionTypes
builder_module = importlib.import_module(pipe_name + ".all_dimensions_quantum_graph_builder")
graph_module = importlib.import_module(pipe_name + ".pipeline_graph")
butler = db.Butler.from_config(repository, writeable=True)
UNIVERSE = butler.dimensions
DICT = "StructuredDataDict"
ED, VD, VI = ("instrument", "exposure", "detector"), ("instrument", "visit", "detector"), ("instrument", "visit")
P = ("skymap", "tract", "patch")
CAMERA = "instrument='BenchCam' AND skymap='bench_rings'"
SMALL = CAMERA + " AND visit=1000 AND detector IN (0, 1)"
COUNTER = [0]


def task(dimensions, methods=None, **connections):
    """Make a task class with these connections; `methods` go into the connections class."""
    COUNTER[0] += 1
    number = COUNTER[0]

    def new(name, base, namespace, **keywords):
        body = {**namespace, "__module__": "h"}
        made = types.new_class(name, (base,), keywords, lambda space: space.update(body))
        setattr(sys.modules["h"], name, made)
        return made

    connection_class = new(
        f"C{number}", pb.PipelineTaskConnections, {**connections, **(methods or {})}, dimensions=dimensions
    )
    config_class = new(f"K{number}", pb.PipelineTaskConfig, {}, pipelineConnections=connection_class)
    return new(f"T{number}", pb.PipelineTask, {"ConfigClass": config_class, "_DefaultName": f"t{number}"})


def io(kind, name, dimensions, **options):
    return kind(name=name, doc=name, storageClass=options.pop("storageClass", DICT), dimensions=dimensions, **options)


def pipeline(**tasks):
    graph = graph_module.PipelineGraph()
    for label, task_class in tasks.items():
        graph.add_task(label, task_class)
    return graph


CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def components_of(graph, where=SMALL, collections=("BenchCam/defaults",), run="u/x/run", **options):
    if "dataset_query_constraint" in options:
        variants = builder_module.DatasetQueryConstraintVariant
        options["dataset_query_constraint"] = variants.fromExpression(options["dataset_query_constraint"])
    builder = builder_module.AllDimensionsQuantumGraphBuilder(
        graph, butler, where=where, input_collections=list(collections), output_run=run, **options
    )
    return builder.finish(attach_datastore_records=False)


def counts(*arguments, **options):
    header = components_of(*arguments, **options).header
    return dict(header.n_task_quanta)


def inputs_of(components, label, connection):
    """Data IDs of one input of each quantum."""
    graph = components.assemble()
    found = {}
    for quantum in graph.build_execution_quanta(task_label=label).values():
        node = graph.pipeline_graph.tasks[label]
        edge = {**node.inputs, **node.prerequisite_inputs}[connection]
        refs = []
        for key, value in quantum.inputs.items():
            if getattr(key, "name", key) == edge.dataset_type_name:
                refs = value
        key = "/".join(str(value) for value in quantum.dataId.required_values)
        found[key] = sorted(
            "/".join(str(value) for value in ref.dataId.required_values) + "@" + ref.run for ref in refs
        )
    return found


def raw_to(name, dimensions=ED, methods=None, **more):
    return task(
        dimensions, methods, raw=io(cT.Input, "raw", ED, multiple=True), **more, out=io(cT.Output, name, dimensions)
    )


@case
def minimum_of_inputs():
    results = {}
    for minimum in (0, 1, 2, 9, 10):
        reader = task(VI, i=io(cT.Input, "raw", ED, multiple=True, minimum=minimum), out=io(cT.Output, "m1", VI))
        results[minimum] = counts(pipeline(a=reader), CAMERA)
    return results


@case
def several_where_one_is_taken():
    return counts(pipeline(a=task(VI, i=io(cT.Input, "raw", ED), out=io(cT.Output, "m1", VI))), CAMERA)


@case
def missing_prerequisite():
    reader = raw_to("m2", VD, p=io(cT.PrerequisiteInput, "notthere", ("instrument", "detector")))
    return counts(pipeline(a=reader))


@case
def optional_prerequisite():
    reader = raw_to("m2", VD, p=io(cT.PrerequisiteInput, "notthere", ("instrument", "detector"), minimum=0))
    return counts(pipeline(a=reader))


@case
def unregistered_input():
    return counts(pipeline(a=task(VD, i=io(cT.Input, "unreg", ED, multiple=True), out=io(cT.Output, "m3", VD))))


@case
def empty_input():
    return counts(pipeline(a=task(VD, i=io(cT.Input, "emptyone", ED, multiple=True), out=io(cT.Output, "m3", VD))))


@case
def deferred_empty_input():
    reader = raw_to("m3", VD, i=io(cT.Input, "emptyone", ED, multiple=True, deferGraphConstraint=True))
    return counts(pipeline(a=reader))


@case
def deferred_optional_empty_input():
    reader = raw_to("m3", VD, i=io(cT.Input, "emptyone", ED, multiple=True, minimum=0, deferGraphConstraint=True))
    return counts(pipeline(a=reader))


@case
def partial_input_shrinks_what_is_upstream():
    a = raw_to("pisr")
    b = task(ED, x=io(cT.Input, "pisr", ED), y=io(cT.Input, "partone", ED), out=io(cT.Output, "both", ED))
    collections = ("BenchCam/defaults", "prun")
    return [counts(pipeline(a=a, b=b), CAMERA, collections, dataset_query_constraint=how) for how in ("all", "off")]


@case
def visit_and_detector_overlaps():
    warps = task(VI + P, v=io(cT.Input, "vtab", VI), out=io(cT.Output, "warp1", VI + P))
    fine = task(VD + P, v=io(cT.Input, "vtab", VI), out=io(cT.Output, "warp2", VD + P))
    collections = ("BenchCam/defaults", "vrun")
    return [
        counts(pipeline(**tasks), CAMERA, collections) for tasks in ({"w": warps}, {"w": fine}, {"w": warps, "x": fine})
    ]


@case
def independent_parts_do_not_slice_each_other():
    return counts(
        pipeline(a=raw_to("o1"), b=task(P, s=io(cT.Input, "skyMap", ("skymap",)), out=io(cT.Output, "o2", P))), CAMERA
    )


@case
def calibrations_by_time():
    reader = raw_to("m4", ED, bias=io(cT.PrerequisiteInput, "bias", ("instrument", "detector"), isCalibration=True))
    return inputs_of(components_of(pipeline(a=reader), CAMERA + " AND detector=1"), "a", "bias")


@case
def calibrations_without_time():
    reader = task(
        ("instrument", "detector"),
        raw=io(cT.Input, "raw", ED, multiple=True),
        flat=io(
            cT.PrerequisiteInput,
            "flat",
            ("instrument", "detector", "physical_filter"),
            isCalibration=True,
            multiple=True,
        ),
        out=io(cT.Output, "m5", ("instrument", "detector")),
    )
    return len(components_of(pipeline(a=reader), SMALL).header.n_task_quanta)


@case
def ambiguous_calibration():
    reader = raw_to("m6", ED, bias=io(cT.PrerequisiteInput, "dbias", ("instrument", "detector"), isCalibration=True))
    return counts(pipeline(a=reader), CAMERA + " AND detector=0", ("BenchCam/defaults", "dcalib"))


@case
def times_that_touch_do_not_overlap():
    reader = raw_to(
        "m7",
        ED,
        bias=io(
            cT.PrerequisiteInput, "tbias", ("instrument", "detector"), isCalibration=True, minimum=0, multiple=True
        ),
    )
    collections = ("BenchCam/defaults", "tcalib")
    return inputs_of(components_of(pipeline(a=reader), CAMERA + " AND detector=0", collections), "a", "bias")


@case
def reference_catalog_by_region():
    reader = raw_to("m8", VD, ref=io(cT.PrerequisiteInput, "ref_cat", ("htm7",), multiple=True))
    return inputs_of(components_of(pipeline(a=reader), CAMERA), "a", "ref")


@case
def reference_catalog_of_a_patch():
    reader = task(
        P,
        s=io(cT.Input, "skyMap", ("skymap",)),
        ref=io(cT.PrerequisiteInput, "ref_cat", ("skypix",), multiple=True, minimum=0),
        out=io(cT.Output, "m9", P),
    )
    return inputs_of(components_of(pipeline(a=reader), CAMERA + " AND patch IN (10, 40)"), "a", "ref")


@case
def other_pixels_as_output():
    maker = raw_to("m10", ("instrument", "visit", "detector", "htm9"))
    return counts(pipeline(a=maker))


@case
def adjust_leaves_out_quanta():
    def adjustQuantum(self, inputs, outputs, label, data_id):
        if data_id["detector"] == 0:
            raise pb.NoWorkFound("not this one")
        return {}, {}

    a = raw_to("aout", ED, {"adjustQuantum": adjustQuantum})
    b = task(VI, i=io(cT.Input, "aout", ED, multiple=True), out=io(cT.Output, "bout", VI))
    components = components_of(pipeline(a=a, b=b))
    return [dict(components.header.n_task_quanta), inputs_of(components, "b", "i")]


@case
def adjust_takes_inputs_away():
    def adjustQuantum(self, inputs, outputs, label, data_id):
        connection, refs = inputs["raw"]
        return {"raw": (connection, [ref for ref in refs if ref.dataId["detector"] == 1])}, {}

    components = components_of(pipeline(a=raw_to("aout", VI, {"adjustQuantum": adjustQuantum})))
    return inputs_of(components, "a", "raw")


@case
def adjust_takes_outputs_away():
    def adjustQuantum(self, inputs, outputs, label, data_id):
        connection, _ = outputs["extra"]
        return {}, {"extra": (connection, [])}

    a = raw_to("aout", ED, {"adjustQuantum": adjustQuantum}, extra=io(cT.Output, "aextra", ED, multiple=True))
    b = task(ED, i=io(cT.Input, "aextra", ED), out=io(cT.Output, "bout", ED))
    return counts(pipeline(a=a, b=b))


@case
def adjust_returns_what_it_was_not_given():
    def adjustQuantum(self, inputs, outputs, label, data_id):
        connection, refs = inputs["raw"]
        wrong = [db.DatasetRef(ref.datasetType, ref.dataId, ref.run) for ref in refs]
        return {"raw": (connection, wrong)}, {}

    return counts(pipeline(a=raw_to("aout", VI, {"adjustQuantum": adjustQuantum})))


@case
def adjust_all_removes():
    def adjust_all_quanta(self, adjuster):
        for data_id in list(adjuster.iter_data_ids()):
            if data_id["detector"] == 1:
                adjuster.remove_quantum(data_id)

    a = raw_to("aout", ED, {"adjust_all_quanta": adjust_all_quanta})
    b = task(VI, i=io(cT.Input, "aout", ED, multiple=True), out=io(cT.Output, "bout", VI))
    return counts(pipeline(a=a, b=b))


@case
def adjust_all_adds_inputs():
    def adjust_all_quanta(self, adjuster):
        first, second = sorted(adjuster.iter_data_ids(), key=lambda data_id: data_id["detector"])
        (other,) = adjuster.get_inputs(second)["raw"]
        adjuster.add_input(first, "raw", other)

    components = components_of(pipeline(a=raw_to("aout", ED, {"adjust_all_quanta": adjust_all_quanta})))
    return inputs_of(components, "a", "raw")


@case
def look_up_function():
    def look_up(dataset_type, registry, data_id, collections):
        wanted = (data_id["detector"] + 1) % 9
        refs = registry.queryDatasets(
            dataset_type.name, collections=collections, instrument="BenchCam", detector=wanted, findFirst=False
        )
        return sorted(refs)[:1]

    reader = raw_to(
        "m11", ED, p=io(cT.PrerequisiteInput, "partone", ED, lookupFunction=look_up, minimum=0, multiple=True)
    )
    return inputs_of(components_of(pipeline(a=reader), SMALL, ("BenchCam/defaults", "prun")), "a", "p")


@case
def order_of_collections():
    reader = task(VI, v=io(cT.Input, "vtab", VI), out=io(cT.Output, "o3", VI))
    return [
        inputs_of(components_of(pipeline(a=reader), CAMERA, ("BenchCam/defaults", *runs)), "a", "v")
        for runs in (("vrun", "vrun2"), ("vrun2", "vrun"))
    ]


def table(**columns):
    from astropy.table import Table

    return Table(columns)


@case
def table_of_data_ids():
    graph = pipeline(a=raw_to("dt1", VD))
    return counts(graph, CAMERA, data_id_tables=[table(visit=[1000, 1001, 1001], detector=[1, 2, 3])])


@case
def table_of_some_dimensions_only():
    return counts(pipeline(a=raw_to("dt2", VI)), CAMERA, data_id_tables=[table(detector=[1, 2])])


@case
def two_tables_of_data_ids():
    tables = [table(visit=[1000, 1002]), table(instrument=["BenchCam"] * 2, detector=[4, 5])]
    return counts(pipeline(a=raw_to("dt3", VD)), CAMERA, data_id_tables=tables)


@case
def a_table_of_visits_and_patches_goes_before_their_regions():
    reader = task(VI + P, v=io(cT.Input, "vtab", VI), out=io(cT.Output, "dt5", VI + P))
    rows = table(instrument=["BenchCam"], visit=[1000], skymap=["bench_rings"], tract=[0], patch=[0])
    where = CAMERA + " AND visit=1000 AND patch=0"
    collections = ("BenchCam/defaults", "vrun")
    return [counts(pipeline(a=reader), where, collections, data_id_tables=tables) for tables in ([], [rows])]


@case
def a_table_that_fits_nothing():
    return counts(pipeline(a=raw_to("dt4", VD)), CAMERA, data_id_tables=[table(visit=[77])])


def chain_with_gap():
    """Quanta of `a` for each detector; those of `b` only where `part` is found, which `c` goes on with."""
    a = raw_to("gap_a", ED)
    b = task(
        ED,
        i=io(cT.Input, "gap_a", ED),
        p=io(cT.Input, "partone", ED, deferGraphConstraint=True),
        out=io(cT.Output, "gap_b", ED),
    )
    c = task(ED, i=io(cT.Input, "gap_a", ED), out=io(cT.Output, "gap_c", ED))
    return pipeline(a=a, b=b, c=c)


@case
def quanta_that_lead_nowhere_go():
    collections = ("BenchCam/defaults", "prun")
    whole = counts(chain_with_gap(), CAMERA, collections)
    return whole, counts(chain_with_gap(), CAMERA, collections, prune_unanchored_quanta=("a", "b"))


@case
def without_the_anchor_all_go():
    return counts(chain_with_gap(), CAMERA, prune_unanchored_quanta=("a", "nothing"))


@case
def without_the_source_nothing_goes():
    return counts(chain_with_gap(), CAMERA, ("BenchCam/defaults", "prun"), prune_unanchored_quanta=("nothing", "b"))


@case
def init_input_that_is_not_there():
    class_ = task(
        ED,
        raw=io(cT.Input, "raw", ED),
        out=io(cT.Output, "o4", ED),
        schema=cT.InitInput(name="no_schema", doc="", storageClass=DICT),
    )
    return counts(pipeline(a=class_))


@case
def nothing_at_all():
    return counts(pipeline(a=raw_to("o5")), "instrument='Nope'")


@case
def unknown_name_in_where():
    return counts(pipeline(a=raw_to("o5")), "nonsense=3")


def chain():
    """Two tasks of which parts are done in `srun`: metadata for detector 0, everything but metadata for none."""
    a = raw_to("sout")
    b = task(VI, i=io(cT.Input, "sout", ED, multiple=True), out=io(cT.Output, "stable", VI))
    return {"sa": a, "sb": b}


@case
def done_quanta_are_skipped():
    components = components_of(pipeline(**chain()), skip_existing_in=["srun"])
    return [dict(components.header.n_task_quanta), inputs_of(components, "sb", "i")]


@case
def done_in_the_output_run_is_skipped():
    return counts(
        pipeline(**chain()), CAMERA + " AND visit=1000 AND detector IN (0, 2)", run="srun", skip_existing_in=["srun"]
    )


@case
def existing_outputs_are_refused():
    return counts(pipeline(**chain()), run="srun")


@case
def existing_outputs_are_replaced_on_request():
    return counts(pipeline(**chain()), run="srun", clobber=True)


@case
def a_log_alone_is_replaced():
    return counts(pipeline(**chain()), run="srun", skip_existing_in=["srun"])


@case
def what_was_not_kept_is_made_again():
    kept_types = (["*"], ["nothing"], ["sout"], ["s*"])
    return [counts(pipeline(**chain()), skip_existing_in=["srun"], retained_dataset_types=kept) for kept in kept_types]


@case
def everything_is_done():
    return counts(pipeline(sa=chain()["sa"]), CAMERA + " AND visit=1000 AND detector=0", skip_existing_in=["srun"])


@case
def ids_of_replaced_outputs_stay():
    components = components_of(pipeline(**chain()), run="srun", clobber=True)
    graph = components.assemble()
    (ref,) = butler.registry.queryDatasets("sout", collections="srun")
    found = False
    for quantum in graph.build_execution_quanta(task_label="sa").values():
        for key, refs in quantum.outputs.items():
            if getattr(key, "name", key) == "sout":
                found = found or any(each.id == ref.id for each in refs)
    return found


def prepare_done():
    """Leave behind what an interrupted run would leave: detector 0 done, detector 1 failed with a log."""
    registry = butler.registry
    registry.registerRun("srun")
    kinds = {"sout": DICT, "sa_metadata": "TaskMetadata", "sa_log": "ButlerLogRecords"}
    for name, storage_class in kinds.items():
        dataset_type = db.DatasetType(name, ED, storage_class, universe=UNIVERSE)
        registry.registerDatasetType(dataset_type)
        for detector in (0, 1):
            if detector == 0 or name == "sa_log":
                data_id = {"instrument": "BenchCam", "exposure": 1000, "detector": detector}
                registry.insertDatasets(dataset_type, [data_id], run="srun")


def prepare():
    """Write the datasets that the cases need."""
    registry = butler.registry
    visit_type = db.DatasetType("vtab", VI, DICT, universe=UNIVERSE)
    exposure_types = [db.DatasetType(name, ED, DICT, universe=UNIVERSE) for name in ("emptyone", "partone")]
    calibration_types = [
        db.DatasetType(name, ("instrument", "detector"), DICT, universe=UNIVERSE, isCalibration=True)
        for name in ("dbias", "tbias")
    ]
    for dataset_type in (visit_type, *exposure_types, *calibration_types):
        registry.registerDatasetType(dataset_type)
    for run in ("vrun", "vrun2", "prun", "drun1", "drun2"):
        registry.registerRun(run)
    visits = [{"instrument": "BenchCam", "visit": visit} for visit in (1000, 1001, 1002)]
    registry.insertDatasets(visit_type, visits, run="vrun")
    registry.insertDatasets(visit_type, visits[1:], run="vrun2")
    parts = [{"instrument": "BenchCam", "exposure": 1000, "detector": detector} for detector in (1, 2)]
    registry.insertDatasets(exposure_types[1], parts, run="prun")
    registry.registerCollection("dcalib", db.CollectionType.CALIBRATION)
    registry.registerCollection("tcalib", db.CollectionType.CALIBRATION)
    detector = [{"instrument": "BenchCam", "detector": 0}]
    spans = {}
    for record in registry.queryDimensionRecords("exposure", instrument="BenchCam"):
        spans[record.id] = record.timespan
    (first,) = registry.insertDatasets(calibration_types[0], detector, run="drun1")
    (second,) = registry.insertDatasets(calibration_types[0], detector, run="drun2")
    span = spans[1000]
    middle = span.begin + (span.end - span.begin) / 2
    registry.certify("dcalib", [first], db.Timespan(None, middle))
    registry.certify("dcalib", [second], db.Timespan(middle, None))
    (first,) = registry.insertDatasets(calibration_types[1], detector, run="drun1")
    (second,) = registry.insertDatasets(calibration_types[1], detector, run="drun2")
    registry.certify("tcalib", [first], db.Timespan(None, spans[1000].begin))
    registry.certify("tcalib", [second], db.Timespan(spans[1001].begin, spans[1001].end))


prepare()
prepare_done()
results = {}
for name, function in CASES.items():
    if len(sys.argv) > 4 and name not in sys.argv[4:]:
        continue
    try:
        results[name] = {"value": function()}
    except Exception as error:
        import traceback

        results[name] = {
            "error": type(error).__name__,
            "message": str(error)[:300],
            "where": traceback.format_exc()[-600:],
        }
print(json.dumps(results))
