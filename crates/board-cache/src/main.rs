//! The board-cache.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::run("board-cache", |settings: &board_cache::Settings| &settings.process, board_cache::run)
}
