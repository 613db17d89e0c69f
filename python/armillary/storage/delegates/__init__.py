"""Delegates of the storage classes that come with the package, each imported when first used."""
