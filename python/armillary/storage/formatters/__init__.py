"""One module for each file format, imported when first used."""
