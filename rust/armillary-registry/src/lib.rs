//! Storage of a repository: schema, collections, datasets, dimension records, queries.
