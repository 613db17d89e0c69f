"""Seventy pairs of selections from the bench pipeline and conditions on its data."""

CAMERA = "instrument='BenchCam' AND skymap='bench_rings'"
SELECTIONS = [
    "",
    "#isr",
    "#visits",
    "#isr,calibrate",
    "#..makeWarp",
    "#isr..assembleCoadd",
    "#isr,calibrate,makeWarp,assembleCoadd",
    "#calibrate..detect",
    "#makeWarp..",
    "#tractTable",
]
CONDITIONS = [
    CAMERA,
    CAMERA + " AND band='y'",
    CAMERA + " AND detector IN (1, 4)",
    CAMERA + " AND tract=0 AND patch=40",
    CAMERA + " AND visit=1000",
    CAMERA + " AND patch IN (38..42) AND detector > 3",
    CAMERA + " AND exposure=1001 AND NOT detector=2",
]
