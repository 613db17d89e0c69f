"""The packages from which the real pipelines import."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import shared_path

# Two imported files belong to packages that the shared inputs lack. The peer's answers show what they declare.
MULTIPROFIT = "lsst.meas.extensions.multiprofit.pipetasks_fit.MultiProFitCoadd"
STAND_INS = {
    "MEAS_EXTENSIONS_MULTIPROFIT_DIR": (
        "pipelines/multiprofit_fit_standard.yaml",
        {
            "description": "stand-in",
            "parameters": dict.fromkeys(
                ["add_point_source", "fix_centroid", "prior_axrat_stddev", "sersic_init_table", "use_shapelet_psf"], 0
            ),
            "tasks": {
                "fitDeepCoaddPsfGaussians": MULTIPROFIT + "PsfFitTask",
                "fitDeblendedObjectsExp": MULTIPROFIT + "ExpFitTask",
                "fitDeblendedObjectsSersic": MULTIPROFIT + "SersicFitTask",
            },
            "contracts": [f"fitDeblendedObjects{model}.x == fitDeepCoaddPsfGaussians.x" for model in ("Exp", "Sersic")],
        },
    ),
    "AP_PIPE_DIR": (
        "pipelines/DECam/RunIsrForCrosstalkSources.yaml",
        {
            "description": "stand-in",
            "instrument": "lsst.obs.decam.DarkEnergyCamera",
            "tasks": {"overscan": "lsst.ip.isr.IsrTask"},
            "subsets": {"runOverscan": ["overscan"]},
        },
    ),
}


def package_directories(folder: Path) -> dict[str, str]:
    """The variables by which pipelines name packages: `lsst_drp_pipe` is `DRP_PIPE_DIR`. `folder` gets stand-ins."""
    found = {
        path.name.partition("_")[2].upper() + "_DIR": str(path) for path in shared_path("data", "pipelines").iterdir()
    }
    for variable, (name, document) in STAND_INS.items():
        path = folder / variable / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(document))
        found[variable] = str(folder / variable)
    return found
