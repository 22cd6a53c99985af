//! The picture made from a delivered graph.
