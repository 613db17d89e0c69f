"""What is wrong with a run that is asked for, found before anything is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from armillary._words import did_you_mean
from armillary.errors import MissingDatasetTypeError

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetType

__all__ = ["Finding", "check_run", "unused_overrides"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that is wrong, or looks as if it were not meant.

    Attributes
    ----------
    level
        "error" if the run would fail or leave work out because of it, else "warning".
    kind
        `unregistered`, `override`, `shadowed`, `unused`, `calibration` or `input`.
    message
        What it is.
    hint
        What to do about it.
    """

    level: str
    kind: str
    message: str
    hint: str = ""

    def to_plain(self) -> dict[str, str]:
        """Return the JSON form."""
        return dataclasses.asdict(self)


def check_run(
    butler: Butler, pipeline: Any, *, inputs: Sequence[str], where: str = "", register_dataset_types: bool = False
) -> list[Finding]:
    """Look for what stands in the way of a run.

    Parameters
    ----------
    butler
        The repository.
    pipeline
        The resolved pipeline graph.
    inputs
        Search path of the inputs, without chains.
    where
        Expression that data IDs must meet.
    register_dataset_types
        Whether missing dataset types of outputs will be registered.

    Returns
    -------
    findings
        Errors first.
    """
    findings = [*_unregistered(butler, pipeline, register_dataset_types)]
    wanted = [node for name, _ in pipeline.iter_overall_inputs() if (node := pipeline.dataset_types.get(name))]
    types = [node.dataset_type for node in wanted if _is_registered(butler, node.dataset_type.name)]
    findings += _collections(butler, types, list(inputs), where)
    findings += _missing_inputs(butler, pipeline, list(inputs))
    findings += _calibrations(butler, pipeline, list(inputs), where)
    return sorted(findings, key=lambda finding: finding.level != "error")


def _is_registered(butler: Butler, name: str) -> bool:
    try:
        butler.get_dataset_type(name)
    except MissingDatasetTypeError:
        return False
    return True


def _unregistered(butler: Butler, pipeline: Any, register: bool) -> Iterable[Finding]:
    overall = {name for name, _ in pipeline.iter_overall_inputs()}
    outputs = [name for name in _all_types(pipeline) if name not in overall and not _is_registered(butler, name)]
    if outputs and not register:
        shown = f"{', '.join(f'`{name}`' for name in outputs[:5])}{' ...' if len(outputs) > 5 else ''}"
        noun = "dataset type of outputs is" if len(outputs) == 1 else "dataset types of outputs are"
        yield Finding(
            "error",
            "unregistered",
            f"{len(outputs)} {noun} not registered: {shown}",
            "run with `--register-dataset-types`",
        )


def _all_types(pipeline: Any) -> list[str]:
    names = list(pipeline.dataset_types)
    names += [node.init.config_output.dataset_type_name for node in pipeline.tasks.values()]
    return list(dict.fromkeys(names))


def _missing_inputs(butler: Butler, pipeline: Any, inputs: list[str]) -> Iterable[Finding]:
    """Overall inputs of which the search path holds nothing."""
    known = [found.name for found in butler.registry.queryDatasetTypes()]
    for name, node in pipeline.iter_overall_inputs():
        if node is None or not _is_registered(butler, name):
            yield Finding(
                "error",
                "input",
                f"the input `{name}` is not registered{did_you_mean(name, known)}",
                "ingest it, or set the connection's name in the config of the task",
            )
            continue
        if node.is_prerequisite and node.dataset_type.isCalibration():
            continue  # looked for by night
        if not butler.query_datasets(name, inputs, find_first=False, limit=1, explain=False):
            elsewhere = {
                ref.run for ref in butler.query_datasets(name, "*", find_first=False, limit=-50, explain=False)
            }
            hint = f"some are in {', '.join(f'`{run}`' for run in sorted(elsewhere)[:3])}" if elsewhere else ""
            optional = node.is_prerequisite and _is_optional(pipeline, name)
            yield Finding("warning" if optional else "error", "input", f"no `{name}` is in the input collections", hint)


def _is_optional(pipeline: Any, name: str) -> bool:
    """Whether all tasks that read a prerequisite can do without."""
    return all(
        edge.minimum == 0
        for task in pipeline.tasks.values()
        for edge in task.prerequisite_inputs.values()
        if edge.parent_dataset_type_name == name
    )


def _collections(butler: Butler, types: list[DatasetType], inputs: list[str], where: str) -> Iterable[Finding]:
    """Input collections that give nothing: no input asked for is in them, or all are found earlier on the path."""
    held: dict[str, dict[Any, Any]] = {name: {} for name in inputs}
    for dataset_type in types:
        if dataset_type.isCalibration():
            continue  # found by time, so that several collections may have a part in one data ID
        for name in inputs:
            refs = butler.query_datasets(dataset_type.name, [name], where=where, limit=None, explain=False)
            held[name].update(((ref.datasetType.name, ref.dataId), ref.id) for ref in refs)
    seen: dict[Any, tuple[str, Any]] = {}
    for name in inputs:
        own = held[name]
        hidden = {key: seen[key][0] for key, identity in own.items() if key in seen and seen[key][1] != identity}
        if own and len(hidden) == len(own):
            by = ", ".join(f"`{other}`" for other in dict.fromkeys(hidden.values()))
            all_of_it = "its one input is" if len(own) == 1 else f"all its {len(own)} inputs are"
            yield Finding(
                "warning",
                "shadowed",
                f"nothing of `{name}` is used: {all_of_it} found in {by} first",
                f"put `{name}` before {by} if its datasets are meant",
            )
        elif hidden:
            kinds = ", ".join(f"`{kind}`" for kind in sorted({kind for kind, _ in hidden}))
            yield Finding(
                "warning",
                "shadowed",
                f"{len(hidden)} of {len(own)} inputs in `{name}` ({kinds}) "
                f"{'is' if len(hidden) == 1 else 'are'} hidden by others earlier on the path",
            )
        for key, identity in own.items():
            seen.setdefault(key, (name, identity))
    calibrations = [found.name for found in types if found.isCalibration()]
    for name in inputs:
        if held[name] or any(_has_any(butler, kind, name) for kind in calibrations):
            continue
        yield Finding("warning", "unused", f"no input of the pipeline is in `{name}`", "leave it out of `-i`")


def _has_any(butler: Butler, dataset_type: str, collection: str) -> bool:
    return bool(butler.query_datasets(dataset_type, collection, find_first=False, limit=1, explain=False))


def _calibrations(butler: Butler, pipeline: Any, inputs: list[str], where: str) -> Iterable[Finding]:
    """Calibrations that are valid at no time of an observation that will be processed."""
    for label, task in pipeline.tasks.items():
        for connection, edge in task.prerequisite_inputs.items():
            node = pipeline.dataset_types[edge.parent_dataset_type_name]
            dataset_type = node.dataset_type
            if not dataset_type.isCalibration() or task.get_lookup_function(connection) is not None:
                continue
            yield from _calibration(butler, pipeline, label, task, dataset_type, inputs, where)


def _calibration(
    butler: Butler, pipeline: Any, label: str, task: Any, dataset_type: Any, inputs: list[str], where: str
) -> Iterable[Finding]:
    time = next((name for name in ("exposure", "visit", "day_obs") if name in task.dimensions.names), None)
    if not _is_registered(butler, dataset_type.name) or time is None:
        return
    names = [*dataset_type.dimensions.required, time]
    observations = _observations(butler, pipeline, names, inputs, where)
    valid: dict[tuple[Any, ...], list[Any]] = {}
    for found in butler.registry.queryDatasetAssociations(dataset_type, collections=inputs):
        valid.setdefault(tuple(found.ref.dataId.required_values), []).append(found.timespan)
    missing: dict[Any, list[Any]] = {}
    for data_id in observations:
        key = tuple(data_id[name] for name in dataset_type.dimensions.required)
        span = data_id.timespan
        spans = valid.get(key, ())
        if not any(one is None or span is None or one.overlaps(span) for one in spans):
            night = data_id["day_obs"] if "day_obs" in data_id.dimensions.names else data_id[time]
            missing.setdefault(night, []).append(data_id)
    if missing:
        nights = ", ".join(f"{night} ({len(found)})" for night, found in sorted(missing.items())[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        total = sum(map(len, missing.values()))
        first = next(iter(missing.values()))[0]
        yield Finding(
            "error",
            "calibration",
            f"task `{label}` lacks `{dataset_type.name}` for {total} of {len(observations)} data IDs: "
            f"nights {nights}{more}; the first is {first}",
            "certify one for that time with `butler certify-calibrations`, or add its collection with `-i`",
        )


def _observations(butler: Butler, pipeline: Any, names: list[str], inputs: list[str], where: str) -> list[Any]:
    """Data IDs with records of what will be processed: those that have the inputs a graph is built from."""
    with butler.query() as query:
        for name, node in pipeline.iter_overall_inputs():
            if node is None or node.is_prerequisite or not node.is_initial_query_constraint:
                continue
            if node.dimensions and _is_registered(butler, name):
                query = query.join_dataset_search(name, inputs)
        results = query.data_ids(names).with_dimension_records()
        return list(results.where(where) if where else results)


def unused_overrides(pipeline: Any, changes: Iterable[tuple[str, str]]) -> list[Finding]:
    """Find config overrides of a pipeline and of the command line that change nothing.

    Parameters
    ----------
    pipeline
        The pipeline before the overrides.
    changes
        (kind, text) of the changes of the command line, in order; `("config", "LABEL:FIELD=VALUE")`.
    """
    findings = [
        Finding(
            "warning",
            "override",
            f"the pipeline sets `{field}` of task `{label}` to what it is already",
            "leave it out, unless it shall stay so if the default changes",
        )
        for label, field in pipeline.overrides_without_effect()
    ]
    configs: dict[str, Any] = {}
    for kind, text in changes:
        if kind != "config":
            continue
        label, _, rest = text.partition(":")
        field, _, value = rest.partition("=")
        if label == "parameters":
            continue
        if not configs:
            configs = {one.label: one.config for one in pipeline.to_graph().tasks.values()}
        before = _value(configs.get(label), field)
        if before is not None and before[0] == _parsed(value):
            findings.append(
                Finding("warning", "override", f"`-c {text}` changes nothing: `{field}` is {before[0]!r} already")
            )
    return findings


def _value(config: Any, field: str) -> tuple[Any] | None:
    """The value of a field in a tuple; None if there is no such field."""
    for part in field.split("."):
        if config is None or not hasattr(config, part):
            return None
        config = getattr(config, part)
    return (config,)


def _parsed(text: str) -> Any:
    import ast

    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
