//! What identifies data: dimensions, groups of them, and values for them.
