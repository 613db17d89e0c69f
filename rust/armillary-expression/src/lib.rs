//! The where language: text to a tree with spans.
