"""What belongs to one camera: its name and detectors, its raw frames, its visits, and the sky maps they fall on."""
