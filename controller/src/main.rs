//! The controller.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// An answer is made of many small pieces: the C library's allocator was a sixth to a quarter of what
/// a read costs us.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    service::run("controller", |settings: &controller::Settings| &settings.process, controller::run)
}
