"""Which storage classes a task may ask for."""

from __future__ import annotations

from armillary._words import did_you_mean

__all__ = ["refusal_of_conversion"]


def refusal_of_conversion(
    label: str,
    connection: str,
    dataset_type: str,
    component: str | None,
    source: str,
    target: str,
    *,
    writes: bool = False,
) -> str | None:
    """Return why a task cannot read, or write, a dataset in its storage class, or None when it can."""
    from armillary.storage import storage_class_factory

    factory = storage_class_factory()
    verb, own = ("writes", source) if writes else ("reads", target)
    where = f"task `{label}` {verb} `{dataset_type}` as `{own}` by connection `{connection}`"
    for name in (source, target):
        if name not in factory:
            return f"{where}; the storage class `{name}` is not known{did_you_mean(name, factory.keys())}"
    given = factory.getStorageClass(source)
    if component is not None:
        parts = given.allComponents()
        if component not in parts:
            return (
                f"task `{label}` reads component `{component}` of `{dataset_type}`, which `{source}` does not have"
                + did_you_mean(component, parts)
            )
        given = parts[component]
    if given.name != target and not factory.getStorageClass(target).can_convert(given):
        if writes:
            return f"{where}, which does not convert to `{target}`, as it is registered"
        return f"{where}, but it is a `{given.name}`, which does not convert to that"
    return None
