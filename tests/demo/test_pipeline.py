"""The demo's pipeline file and tasks, without a repository."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits

import armillary.demo
from armillary.demo import tasks
from armillary.demo.frame_tasks import Frame, FramesDoNotAlign, aligned_wcs, richest
from armillary.demo.simulate import Survey, write_survey
from armillary.instrument.raw_formatter import read_raw
from armillary.instrument.sky_map import SkyMap
from armillary.instrument.visit_definition import frame_region
from armillary.pipeline import NoWorkFound, Pipeline

PIPELINE = Path(armillary.demo.__file__).with_name("pipeline.yaml")


class Handle:
    """A deferred dataset that is there."""

    def __init__(self, value):
        self.value = value

    def get(self):
        return self.value


def test_the_pipeline_file_names_every_task_and_its_subsets_cover_them():
    pipeline = Pipeline.from_uri(str(PIPELINE))
    written = yaml.safe_load(PIPELINE.read_text())["tasks"].values()
    classes = [task["class"] if isinstance(task, dict) else task for task in written]
    assert sorted(classes) == [f"armillary.demo.tasks.{name}" for name in tasks.__all__]
    subsets = pipeline.subsets
    assert set(subsets) == {"calibs", "frames", "coadds", "difference", "science"}
    assert set().union(*subsets.values()) == set(pipeline.task_labels)
    assert subsets["science"] == subsets["frames"] | subsets["coadds"] | subsets["difference"]


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    survey = Survey(size=256, stars=80, science=(("V", 3),), motion=(30.0, 12.0), night_offset=(5.0, -12.0))
    return survey, [str(path) for path in write_survey(tmp_path_factory.mktemp("raw"), survey)]


@pytest.fixture(scope="module")
def frames(survey):
    """Every science frame through the tasks, by visit: sky-subtracted image and sources."""
    _, files = survey
    raws = [read_raw(path) for path in files]
    nights = {}
    for raw in raws:
        nights.setdefault(raw.header["OBSNUM"] > 1009, []).append(raw)
    measured = {}
    for night in nights.values():
        biases = [Handle(raw) for raw in night if raw.header["OBSTYPE"] == "DARK"]
        flats = [Handle(raw) for raw in night if raw.header["OBJECT"].startswith("flat")]
        bias = tasks.CombineBiasTask().run(raws=biases).bias
        flat = tasks.CombineFlatTask().run(raws=flats, bias=bias).flat
        for raw in night:
            if raw.header["OBJECT"] == "simulated_field":
                image = tasks.RemoveSignatureTask().run(raw=raw, bias=bias, flat=flat).image
                result = tasks.MeasureSourcesTask().run(exposure=image)
                measured[raw.header["OBSNUM"]] = result.image, result.sources
    assert len(measured) == 6
    return measured


def to_frames(measured):
    return [Frame(visit, 0, "V", sources) for visit, (_, sources) in measured.items()]


def test_frames_are_measured_and_aligned_as_they_were_simulated(frames):
    listed = to_frames(frames)
    reference = richest(listed)
    table = tasks.AlignFramesTask().run(listed, reference, frames[reference.visit][0].wcs).alignment
    assert len(table) == 6
    assert table["scatter_x"].max() < 0.5
    by_visit = {int(row["visit"]): row for row in table}
    nights = [np.mean([by_visit[v]["shift_y"] for v in by_visit if (v > 1009) == second]) for second in (False, True)]
    assert nights[1] - nights[0] == pytest.approx(-12.0, abs=6.0)  # pointings drift by up to 3 pixels each
    assert table["flux_scale"].min() > 0.7


def test_the_moving_object_is_found_where_it_was_put(survey, frames):
    plan, files = survey
    listed = to_frames(frames)
    reference = richest(listed)
    table = tasks.AlignFramesTask().run(listed, reference, frames[reference.visit][0].wcs).alignment
    tract = SkyMap.around([frame_region(fits.getheader(files[-1]))], pixel_scale=0.37)[0]
    patch = tract.patch(0)
    nights = {False: [], True: []}
    for row in table:
        image = frames[int(row["visit"])][0]
        warp = tasks.WarpFrameTask().run([(image, row)], tract.patch_wcs(patch), patch.shape).warp
        nights[int(row["visit"]) > 1009].append(Handle(warp))
    coadds = [tasks.NightCoaddTask().run(warps=warps).coadd for warps in nights.values()]
    result = tasks.SubtractNightsTask().run(*coadds)
    assert len(result.moving) == 1
    assert result.moving["distance"][0] == pytest.approx(plan.motion_distance, abs=0.5)
    assert result.moving["first_flux"][0] == pytest.approx(plan.moving_flux, rel=0.4)
    objects = tasks.CatalogueTask().run({"V": coadds[0]}).objects
    assert len(objects) > 15
    assert objects["ra"] == pytest.approx(plan.ra, abs=0.05)


def test_a_warp_off_the_patch_is_no_work(frames):
    image, sources = next(iter(frames.values()))
    table = tasks.AlignFramesTask().run([Frame(1, 0, "V", sources)], Frame(1, 0, "V", sources), image.wcs).alignment
    elsewhere = SkyMap.discrete([(200.0, -60.0)], radius=0.02, pixel_scale=0.37)[0]
    with pytest.raises(NoWorkFound, match="does not touch"):
        tasks.WarpFrameTask().run([(image, table[0])], elsewhere.wcs, (elsewhere.height, elsewhere.width))


def test_world_coordinates_survive_the_alignment_table(frames):
    image, sources = next(iter(frames.values()))
    frame = Frame(1, 0, "V", sources)
    row = tasks.AlignFramesTask().run([frame], frame, image.wcs).alignment[0]
    assert np.allclose(aligned_wcs(row).wcs_pix2world(10, 20, 0), image.wcs.wcs_pix2world(10, 20, 0), atol=1e-9)


def test_frames_without_stars_do_not_align(frames):
    image, _ = next(iter(frames.values()))
    empty = {"x": [], "y": [], "aperture_flux": [], "fwhm": []}
    blank = Frame(1, 0, "V", empty)
    with pytest.raises(FramesDoNotAlign, match="none of 2 frames"):
        tasks.AlignFramesTask().run([blank, Frame(2, 0, "V", empty)], blank, image.wcs)


def test_a_difference_in_which_nothing_moved_finds_nothing(frames):
    listed = to_frames(frames)[:3]
    reference = richest(listed)
    table = tasks.AlignFramesTask().run(listed, reference, frames[reference.visit][0].wcs).alignment
    warps = []
    for row in table:
        image = frames[int(row["visit"])][0]
        warps.append(Handle(tasks.WarpFrameTask().run([(image, row)], image.wcs, image.image.shape).warp))
    coadd = tasks.CoaddTask().run(warps=warps).coadd
    result = tasks.SubtractNightsTask().run(coadd, coadd)
    assert len(result.moving) == 0
    assert "first_ra" in result.moving.colnames
