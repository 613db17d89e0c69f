"""A small survey from raw frames to a catalogue, through the same parts that users call.

The measuring functions (`calibration`, `detection`, `alignment`, `coaddition`, `difference`) know arrays only;
`tasks` wraps them for pipelines and `run` plays the whole survey in one repository.
"""
