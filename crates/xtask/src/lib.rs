//! The project's commands: `cargo xtask demo`, `up`, `down`, `status`, `logs`, `reset`, `doctor`,
//! `test`, `bench`, `faults`. Depends on nothing heavy, so that it builds in seconds.
//!
//! A stack is owned by one supervisor, which starts the servers and services, restarts what dies,
//! and writes down what it runs. `demo` is a supervisor in the foreground; `up` starts one in the
//! background; the other commands read what it wrote.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

mod cli;
mod commands;

mod checkout;
mod machine;

mod state;
pub mod supervisor;

pub mod infra;
mod services;

mod http;
pub mod ports;
mod process;

mod doctor;
mod suite;

pub use checkout::Checkout;
pub use cli::main;
pub use process::{Child, Identity};
pub use state::{Phase, ProcessState, State};
