//! How a process lives: settings, logs, metrics, health and shutdown, once for every service.
//!
//! A service's `main` is one call of [`run`] with a callback. `run` reads the settings, starts
//! the logs and the admin endpoints, listens for SIGTERM and SIGINT, and turns the callback's
//! outcome into the exit code. The callback ends when [`Process::stop`] is cancelled.
//!
//! What this crate must not know: topics, stores, boards.

mod admin;
mod clock;
mod health;
mod process;
mod secret;
mod settings;
mod text;

pub use admin::admin_routes;
pub use clock::Clock;
pub use health::{Check, Health};
pub use process::{Process, run};
pub use secret::Secret;
pub use settings::{LogFormat, ProcessSettings};
pub use text::{duration, grouped};

/// Ends a process and everything it started, shared by all its tasks.
pub use tokio_util::sync::CancellationToken as Stop;
