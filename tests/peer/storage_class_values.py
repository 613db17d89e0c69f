"""A value for each storage class that both packages can hold, and how two values are compared.

Imported by `storage_class_actions.py` under the peer's interpreter, after the names `lsst.*` mean one of the packages.
Values are the same each time they are made: a reader compares what it gets with what it makes itself.
"""

import hashlib
import io
import logging
import uuid

import astropy.units as u
import lsst.daf.butler as daf
import lsst.daf.butler.formatters.parquet as parquet
import lsst.images as images
import lsst.images.cells as cells
import lsst.images.json
import lsst.pipe.base as pipe
import lsst.sphgeom as sphgeom
import numpy as np
import pandas as pd
import pyarrow as pa
from astro_metadata_translator import ObservationInfo
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time
from astropy.wcs import WCS
from lsst.daf.butler.logging import ButlerLogRecords
from lsst.images._transforms import _ast as ast
from lsst.images.cameras import CameraFrameSet, Detector, DetectorAttributes, DetectorType, Orientation
from lsst.images.convolution_kernels import ImageBasisConvolutionKernel
from lsst.images.fields import ChebyshevField
from lsst.images.psfs import GaussianPointSpreadFunction
from lsst.pex.config import Config, Field
from lsst.pipe.base.quantum_graph import ProvenanceQuantumGraph
from lsst.pipe.base.utils import RegionTimeInfo
from lsst.utils.packages import Packages

__all__ = ["MAKERS", "OWN", "WITHOUT_FORMATTER", "same", "shown"]

BOX = images.Box.factory[100:140, 200:260]


def moment(day):
    return Time(f"2025-01-{day:02d}T00:00:00", scale="tai", format="isot")


SPAN = daf.Timespan(moment(1), moment(2))


def arrow_astropy():
    made = Table({"x": [1, 2], "s": ["a", "bç"], "b": [b"x", b"yz"], "m": np.arange(4.0).reshape(2, 2)})
    made["q"] = MaskedColumn([1, 2], mask=[True, False])
    made["x"].unit = "m"
    made["x"].description = "an x"
    return made


def arrow_numpy():
    kinds = [("i", "i8"), ("s", "U5"), ("b", "S3"), ("v", "f4", 2), ("k", "?"), ("t", "M8[ns]")]
    return np.array([(1, "ab", b"q", [1, 2], True, np.datetime64("2020-01-01", "ns"))], dtype=kinds)


def task_metadata():
    made = pipe.TaskMetadata()
    made["a.b"] = [1.0, 2.5, 3.0]
    made["text"] = "é"
    made["flag"] = True
    return made


def log_records():
    made = ButlerLogRecords.from_records([])
    record = logging.LogRecord("task", logging.INFO, "here.py", 3, "hello from %s", ("é",), None)
    record.created, record.msecs, record.process, record.thread = 1.7e9, 0.0, 7, 8
    made.append(record)
    return made


class SmallConfig(Config):
    """A config that a file can be read back into."""

    power = Field[int]("exponent", default=2)
    name = Field[str]("name", optional=True)


SmallConfig.__module__ = "storage_class_values"


def config():
    made = SmallConfig()
    made.power = 3
    made.name = "é"
    return made


def plot():
    from matplotlib.figure import Figure

    made = Figure(figsize=(1, 1), dpi=50)
    made.add_subplot().plot([0, 1], [1, 0])
    return made


def projection(frame):
    header = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 20.0, "CRPIX2": 30.0, "CRVAL1": 45.0}
    header |= {"CRVAL2": 20.0, "CDELT1": -0.2 / 3600, "CDELT2": 0.2 / 3600}
    return images.SkyProjection.from_fits_wcs(WCS(header), frame, pixel_bounds=BOX, x0=BOX.x.start, y0=BOX.y.start)


def detector_frame():
    return images.DetectorFrame(instrument="Cam", visit=5, detector=1, bbox=BOX)


def tract_frame():
    return images.TractFrame(skymap="map", tract=3, bbox=BOX)


def image(unit=None, frame=None):
    pixels = np.arange(40 * 60, dtype=np.float32).reshape(40, 60)
    sky = None if frame is None else projection(frame)
    return images.Image(pixels, bbox=BOX, unit=unit, sky_projection=sky, metadata={"ORIGIN": "here"})


def mask_schema():
    return images.MaskSchema([images.MaskPlane("BAD", "bad pixel"), images.MaskPlane("SAT", "saturated")])


def mask():
    made = images.Mask(0, schema=mask_schema(), bbox=BOX)
    made.array[3, 4, 0] = 2
    return made


def masked_image():
    return images.MaskedImage(image(u.nJy), mask=mask(), variance=images.Image(2.0, bbox=BOX, dtype=np.float32))


def color_image():
    pixels = np.arange(40 * 60 * 3, dtype=np.int64).reshape(40, 60, 3).astype(np.uint8)
    return images.ColorImage(pixels, bbox=BOX, sky_projection=projection(tract_frame()))


def transform():
    inward, outward = images.GeneralFrame(unit=u.pix), images.GeneralFrame(unit=u.mm)
    return images.Transform.affine(inward, outward, np.array([[2.0, 0.5, 1.0], [0.0, 3.0, -1.0], [0.0, 0.0, 1.0]]))


def kernel():
    basis = np.stack([np.eye(5), np.ones((5, 5))])
    return ImageBasisConvolutionKernel(basis, [field(), field()])


def field():
    return ChebyshevField(BOX, np.array([[1.0, 0.1], [0.2, 0.0]]))


def detector():
    def frame(name):
        return ast.Frame(2, f"Unit(1)=mm,Unit(2)=mm,Ident={name}")

    frames = ast.FrameSet(frame("FOCAL_PLANE"))
    frames.addFrame(1, ast.ZoomMap(2, 1e-3), frame("FIELD_ANGLE"))
    frames.addFrame(1, ast.ZoomMap(2, 100.0), frame("DETECTOR_1"))
    attributes = DetectorAttributes(
        name="S1",
        id=1,
        type=DetectorType.SCIENCE,
        serial="1-2",
        bbox=BOX,
        orientation=Orientation(focal_plane_x=1.0, focal_plane_y=2.0, focal_plane_z=0.0),
        pixel_size=0.01,
        physical_type="CCD",
    )
    return Detector(attributes, [], CameraFrameSet("Cam", frames), visit=5)


def observation():
    made = {"instrument": "Cam", "telescope": "T", "visit_id": 5, "exposure_id": 5, "detector_num": 1}
    return ObservationInfo(**made, physical_filter="r_03", object="é", datetime_begin=moment(1), datetime_end=moment(2))


def psf():
    return GaussianPointSpreadFunction(1.5, BOX, 11)


def parts_of_visit():
    return {
        "image": image(u.nJy, detector_frame()),
        "mask": mask(),
        "variance": images.Image(2.0, bbox=BOX, dtype=np.float32, unit=u.nJy**2),
        "obs_info": observation(),
        "summary_stats": images.ObservationSummaryStats(),
        "psf": psf(),
        "detector": detector(),
        "band": "r",
        "backgrounds": images.BackgroundMap(),
    }


def difference_image():
    corners = {"x_vertices": [200.0, 260.0, 260.0, 200.0], "y_vertices": [100.0, 100.0, 140.0, 140.0]}
    template = images.DifferenceImageTemplateInfo(
        skymap="map",
        tract=3,
        patch=4,
        dataset_id=uuid.UUID(int=7),
        dataset_run="templates",
        bounds=images.Polygon(**corners),
        psf_shape_xx=1.0,
        psf_shape_yy=1.0,
        psf_shape_xy=0.0,
        psf_shape_flag=False,
        instrument="Cam",
    )
    return images.DifferenceImage(**parts_of_visit(), kernel=kernel(), templates=[template])


GRID = cells.CellGrid(bbox=BOX, cell_shape=images.YX(20, 20))


def cell_psf():
    stamps = np.arange(2 * 3 * 5 * 5, dtype=np.float64).reshape(2, 3, 5, 5)
    return cells.CellPointSpreadFunction(stamps, cells.CellGridBounds(grid=GRID, bbox=BOX))


def coadd_provenance():
    inputs = cells.CoaddProvenance.make_empty_input_table(1)
    inputs["instrument"], inputs["physical_filter"] = "Cam", "r_03"
    inputs["visit"], inputs["detector"], inputs["day_obs"] = 5, 1, 20250101
    inputs["polygon"][0] = images.Polygon(x_vertices=[200.0, 260.0, 260.0], y_vertices=[100.0, 100.0, 140.0])
    contributions = cells.CoaddProvenance.make_empty_contribution_table(1)
    contributions["instrument"], contributions["visit"], contributions["detector"] = "Cam", 5, 1
    return cells.CoaddProvenance(inputs, contributions)


def cell_coadd():
    return cells.CellCoadd(
        image(u.nJy, tract_frame()),
        mask=mask(),
        variance=images.Image(2.0, bbox=BOX, dtype=np.float32, unit=u.nJy**2),
        mask_fractions={"BAD": images.Image(0.5, bbox=BOX, dtype=np.float32)},
        noise_realizations=[images.Image(0.25, bbox=BOX, dtype=np.float32, unit=u.nJy)],
        band="r",
        psf=cell_psf(),
        patch=cells.PatchDefinition(id=4, index=images.YX(0, 1), inner_bbox=BOX, cells=GRID),
        provenance=coadd_provenance(),
        backgrounds=images.BackgroundMap(),
    )


MAKERS = {
    "ArrowAstropy": arrow_astropy,
    "ArrowNumpy": arrow_numpy,
    "ArrowNumpyDict": lambda: {"i": np.array([1, 2]), "s": np.array(["ab", "c"]), "v": np.ones((2, 3))},
    "ArrowSchema": lambda: pa.schema([("i", pa.int64()), ("s", pa.string())]),
    # (the peer counts no rows of tables without metadata)
    "ArrowTable": lambda: pa.table({"i": [1, None], "s": ["q", None]}).replace_schema_metadata({"k": "v"}),
    "AstropyQTable": lambda: QTable({"x": [1.0, 2.0] * u.m}),
    "AstropyTable": lambda: Table({"x": [1], "s": ["a b"]}, meta={"q": 1}),
    "ButlerLogRecords": log_records,
    "CellCoadd": cell_coadd,
    "ColorImage": color_image,
    "Config": config,
    "ConvolutionKernel": kernel,
    "DataFrame": lambda: pd.DataFrame({"i": [1, 2], "f": [1.5, np.nan]}, index=pd.Index([5, 6], name="id")),
    "DifferenceImage": difference_image,
    "ImageV2": lambda: image(u.nJy, detector_frame()),
    "MaskV2": mask,
    "MaskedImageV2": masked_image,
    "NumpyArray": lambda: np.arange(24.0).reshape(2, 3, 4),
    "Packages": lambda: Packages({"python": "3.12.1", "numpy": "2.0"}),
    "Plot": plot,
    "RegionTimeInfo": lambda: RegionTimeInfo(region=sphgeom.Box.fromDegrees(1, 2, 3, 4), timespan=SPAN),
    "SkyProjection": lambda: projection(detector_frame()),
    "StructuredDataDict": lambda: {"é": [1, None, {"x": 1.5, "on": "yes", "1": "1e3"}], "ü\n'\"": ""},
    "TaskMetadata": task_metadata,
    "Timespan": lambda: SPAN,
    "Transform": transform,
    "VisitImage": lambda: images.VisitImage(**parts_of_visit()),
    "int": lambda: -7,
}

# A composite of the repository's own, for there is none whose parts every environment can hold.
OWN = {"Pair": lambda: {"left": {"é": 1}, "right": {"n": [2]}}}

# Storage classes for which no formatter is configured: they are components of others, or for datastores in memory.
WITHOUT_FORMATTER = {
    "ArrowAstropySchema": lambda: parquet.ArrowAstropySchema(arrow_astropy()),
    "ArrowColumnList": lambda: ["a"],
    "ArrowNumpySchema": lambda: parquet.ArrowNumpySchema(arrow_numpy().dtype),
    "AstropyUnit": lambda: u.m,
    "BackgroundMap": images.BackgroundMap,
    "Bounds": lambda: BOX,
    "BoxV2": lambda: BOX,
    "CellCoaddProvenance": coadd_provenance,
    "CellPointSpreadFunction": cell_psf,
    "DataFrameIndex": lambda: pd.Index(["a"]),
    "DataFrameSchema": lambda: parquet.DataFrameSchema(pd.DataFrame({"a": [1]})),
    "DetectorV2": detector,
    "ImageField": field,
    "ObservationInfo": observation,
    "ObservationSummaryStats": images.ObservationSummaryStats,
    "PointSpreadFunction": psf,
    "StructuredDataList": lambda: [1],
    "Thumbnail": lambda: np.zeros((2, 2)),
}


def _same_tables(left, right):
    if left.colnames != right.colnames or len(left) != len(right) or left.meta != right.meta:
        return False
    for name in left.colnames:
        one, two = left[name], right[name]
        if (one.unit, one.info.description) != (two.unit, two.info.description):
            return False
        hidden = np.ma.getmaskarray(one)
        if not np.array_equal(hidden, np.ma.getmaskarray(two)):
            return False
        plain = [np.ma.filled(np.ma.asarray(column.value), 0) for column in (one, two)]
        if not same(*plain):
            return False
    return True


def same(left, right):
    """Whether two values, made or read by either package, are equal in all that they hold."""
    if isinstance(left, pd.DataFrame):
        return left.equals(right) and left.index.name == right.index.name
    if isinstance(left, Table):
        return isinstance(right, Table) and _same_tables(left, right)
    if isinstance(left, np.ndarray):
        return left.dtype.descr == right.dtype.descr and left.shape == right.shape and bool(np.all(left == right))
    if type(left) is dict:
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return type(left).__name__ == type(right).__name__ and shown(left) == shown(right)


def shown(value):
    """A text that tells all that a value holds and is the same under either package."""
    module = type(value).__module__
    if isinstance(value, dict):
        return f"{{{', '.join(sorted(f'{key}: {shown(item)}' for key, item in value.items()))}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, Table):
        told = io.StringIO()
        value.write(told, format="ascii.ecsv")
        return told.getvalue()
    if isinstance(value, pd.DataFrame):
        return value.to_json(orient="table")
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.tolist()}"
    if isinstance(value, Config):
        told = io.StringIO()
        value.saveToStream(told)
        return told.getvalue()
    if isinstance(value, ProvenanceQuantumGraph):
        quanta = {
            label: {str(key): one.hex for key, one in found.items()} for label, found in value.quanta_by_task.items()
        }
        return str([quanta, sorted(value.datasets_by_type)])
    if hasattr(value, "nsec"):
        return str(list(value.nsec))
    if isinstance(value, RegionTimeInfo):
        return f"{value.region.encode().hex()} {shown(value.timespan)}"
    if isinstance(value, pipe.TaskMetadata):
        return shown(value.to_dict())
    if isinstance(value, (bool, int)):  # the peer reads flags and whole numbers of metadata as floating point numbers
        return repr(float(value))
    if isinstance(value, ButlerLogRecords):
        return shown([[entry.asctime.isoformat(), entry.levelname, entry.message, entry.filename] for entry in value])
    if module.startswith("lsst.images") and hasattr(value, "serialize") and not isinstance(value, images.Box):
        tree = lsst.images.json.write(value)
        return hashlib.sha256(tree.model_dump_json(exclude={"butler_info"}).encode()).hexdigest()
    return repr(value) if module == "builtins" else str(value)
