"""Storage classes of mocks: each stands for another, and all hold `MockDataset`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from armillary.pipeline.tests.mocks.dataset import MockDataset
from armillary.pipeline.tests.mocks.names import get_mock_name, get_original_name
from armillary.storage.delegate import StorageClassDelegate
from armillary.storage.storage_class import StorageClass, StorageClassFactory

if TYPE_CHECKING:
    from armillary.butler import DatasetRef, DatasetType

__all__ = ["MockStorageClass", "MockStorageClassDelegate"]


class MockStorageClassDelegate(StorageClassDelegate):
    """Components and parameters of mock datasets, of which it is noted that they were asked for."""

    def getComponent(self, composite: Any, componentName: str) -> MockDataset:
        """Return the mock of a component."""
        if not isinstance(composite, MockDataset):
            raise ValueError(f"a `{type(composite).__name__}` is not a mock dataset")
        part = self.storageClass.component(componentName)
        name = f"{composite.dataset_type['name']}.{componentName}"
        return composite.make_derived(name=name, storageClass=part.name, parent=composite.without_quantum())

    def handleParameters(self, inMemoryDataset: Any, parameters: Mapping[str, Any] | None = None) -> Any:
        """Note the parameters that a dataset is read with."""
        if not parameters:
            return inMemoryDataset
        return inMemoryDataset.make_derived(parameters={name: repr(value) for name, value in parameters.items()})


class MockStorageClass:
    """What is done with the storage classes of mocks.

    They need no registration: `StorageClassFactory` knows the mock of each storage class it knows.
    """

    @staticmethod
    def get_or_register_mock(original: str, factory: StorageClassFactory | None = None) -> StorageClass:
        """Return the mock of a storage class.

        >>> MockStorageClass.get_or_register_mock("ArrowAstropy").pytype.__name__
        'MockDataset'
        """
        return (factory or StorageClassFactory()).getStorageClass(get_mock_name(original))

    @staticmethod
    def mock_dataset_type(original_type: DatasetType) -> DatasetType:
        """Return the mock of a dataset type: name and storage class behind the prefix."""
        from armillary.butler import DatasetType

        parent = original_type.parentStorageClass
        return DatasetType(
            get_mock_name(original_type.name),
            original_type.dimensions,
            get_mock_name(original_type.storageClass_name),
            parentStorageClass=None if parent is None else get_mock_name(parent.name),
            isCalibration=original_type.isCalibration(),
        )

    @staticmethod
    def unmock_dataset_type(mock_type: DatasetType) -> DatasetType:
        """Return the dataset type that a mock stands for."""
        from armillary.butler import DatasetType

        parent = mock_type.parentStorageClass
        return DatasetType(
            get_original_name(mock_type.name),
            mock_type.dimensions,
            get_original_name(mock_type.storageClass_name),
            parentStorageClass=None if parent is None else get_original_name(parent.name),
            isCalibration=mock_type.isCalibration(),
        )

    @classmethod
    def mock_dataset_refs(cls, original_refs: Iterable[DatasetRef]) -> list[DatasetRef]:
        """Return references to the mocks of datasets, with the same ids."""
        return [cls._with_type(ref, cls.mock_dataset_type(ref.datasetType)) for ref in original_refs]

    @classmethod
    def unmock_dataset_refs(cls, mock_refs: Iterable[DatasetRef]) -> list[DatasetRef]:
        """Return references to the datasets that mocks stand for, with the same ids."""
        return [cls._with_type(ref, cls.unmock_dataset_type(ref.datasetType)) for ref in mock_refs]

    @staticmethod
    def _with_type(ref: DatasetRef, dataset_type: DatasetType) -> DatasetRef:
        from armillary.butler import DatasetRef

        return DatasetRef(dataset_type, ref.dataId, ref.run, id=ref.id)
