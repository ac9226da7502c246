//! The controller.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::run("controller", |settings: &controller::Settings| &settings.process, controller::run)
}
