"""Parts of images in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.storage.delegate import StorageClassDelegate

__all__ = ["ImageDelegate"]


class ImageDelegate(StorageClassDelegate):
    """Cut boxes out of images, and put images together from their planes."""

    def handleParameters(self, inMemoryDataset: Any, parameters: Mapping[str, Any] | None = None) -> Any:
        """Apply `bbox`."""
        asked = dict(parameters or {})
        bbox = asked.pop("bbox", None)
        super().handleParameters(inMemoryDataset, asked)
        return inMemoryDataset if bbox is None else inMemoryDataset[bbox]

    def assemble(self, components: dict[str, Any], pytype: type | None = None) -> Any:
        """Make the image of its parts."""
        cls = pytype or self.storageClass.pytype
        return cls(**components)

    @staticmethod
    def selectResponsibleComponent(derivedComponent: str, fromComponents: set[str | None]) -> str:
        """The box of an image is that of its pixels."""
        if derivedComponent == "bbox" and "image" in fromComponents:
            return "image"
        raise ValueError(f"no component is known to give `{derivedComponent}`")
