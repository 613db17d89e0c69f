"""The Rust core. Users find these names in `armillary.butler` and `armillary.pipeline`."""

def _error_classes() -> list[str]:
    """Names of the exception classes the core may raise."""
