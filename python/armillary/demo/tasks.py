"""The tasks of the demo's pipeline, in the order in which they run."""

from armillary.demo.calibration_tasks import CombineBiasTask, CombineFlatTask, RemoveSignatureTask
from armillary.demo.coadd_tasks import CatalogueTask, CoaddTask, NightCoaddTask, SubtractNightsTask, WarpFrameTask
from armillary.demo.frame_tasks import AlignFramesTask, MeasureSourcesTask

__all__ = [
    "AlignFramesTask",
    "CatalogueTask",
    "CoaddTask",
    "CombineBiasTask",
    "CombineFlatTask",
    "MeasureSourcesTask",
    "NightCoaddTask",
    "RemoveSignatureTask",
    "SubtractNightsTask",
    "WarpFrameTask",
]
