//! What needs more than one store.

pub mod rebuild;
