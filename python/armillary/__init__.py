"""Find, read, write and process survey data by what it is, not where it is."""
