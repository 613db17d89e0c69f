//! Regions on the sphere, their stored bytes, relations, and pixel ranges.
