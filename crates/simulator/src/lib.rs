//! The whole system in one thread, step by step, on models of its servers.

pub mod redis;
