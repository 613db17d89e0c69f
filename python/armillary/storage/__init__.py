"""Where datasets are kept: storage classes, formatters, file names and datastores."""
