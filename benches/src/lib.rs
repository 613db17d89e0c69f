//! Seeded tables for benches: the same on every machine.

pub mod synthetic;
