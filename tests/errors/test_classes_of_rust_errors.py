import armillary.errors
from armillary import _core


def test_every_class_rust_may_raise_is_defined_in_python():
    named = _core._error_classes()
    assert len(named) > 50
    assert named == sorted(named)
    assert [name for name in named if name not in armillary.errors.__all__] == []
