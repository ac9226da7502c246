//! What this machine has and lacks.

use crate::checkout::Checkout;
use crate::infra::Infra;
use crate::machine::{self, Need, free_bytes};
use crate::ports::holder;
use std::process::ExitCode;

/// Prints a table; exit code 1 when something is missing that the stack needs.
///
/// # Errors
/// None that are expected.
pub(crate) fn run(checkout: &Checkout, infra: Option<Infra>) -> anyhow::Result<ExitCode> {
    let infra = Infra::choose(infra);
    let mut missing = false;
    let mut row = |need: &Need, is_needed: bool| {
        let (mark, what) = match need.check() {
            Ok(there) => ("ok", there),
            Err(why) => {
                missing |= is_needed;
                let fix = if need.packages.is_empty() {
                    String::new()
                } else {
                    format!("; apt-get install {}", need.packages.join(" "))
                };
                (if is_needed { "MISSING" } else { "absent" }, format!("{why}{fix}"))
            }
        };
        println!("{mark:<8} {:<16} {:<36} {what}", need.name, need.purpose);
    };
    for need in &machine::BUILD {
        row(need, true);
    }
    for need in &machine::LOCAL {
        row(need, infra == Infra::Local);
    }
    for need in &machine::DOCKER {
        row(need, infra == Infra::Docker);
    }
    for need in &machine::TESTS {
        row(need, false);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{:<8} {:<16} {:<36} {cores}", "", "cores", "2 or more are good");
    let free = free_bytes(&checkout.root)? / 1_000_000_000;
    let mark = if free >= 2 { "ok" } else { "MISSING" };
    println!("{mark:<8} {:<16} {:<36} {free} GB free", "disk", "2 GB or more");
    let port =
        if free_ports::is_free(8080) { "free".to_owned() } else { format!("taken by {}", holder(8080)) };
    println!("{:<8} {:<16} {:<36} {port}", "", "port 8080", "the page; any other does too");
    Ok(if missing || free < 2 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
