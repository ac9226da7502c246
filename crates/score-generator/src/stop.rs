//! Ending early, on Ctrl-C or SIGTERM.

use anyhow::Context as _;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// The exit code of a process that was interrupted twice and so gave up its summary.
const EXIT_INTERRUPTED: i32 = 130;

/// Whether the run is to end. Cheap to ask for every event, and a pause that it cuts short.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    asked: AtomicBool,
    lock: Mutex<()>,
    woken: Condvar,
}

impl Stop {
    /// Asks the run to end.
    pub fn ask(&self) {
        let _lock = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.asked.store(true, Ordering::Release);
        self.0.woken.notify_all();
    }

    /// Whether the run was asked to end.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }

    /// Waits for `pause`, or less when the run is asked to end.
    pub fn pause(&self, pause: Duration) {
        let lock = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_asked() {
            // Woken without reason or not: callers look at the clock again.
            drop(self.0.woken.wait_timeout(lock, pause).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Asks for the end on the first SIGINT or SIGTERM; a second one ends the process at once.
    ///
    /// # Errors
    /// When signals cannot be listened to.
    pub(crate) fn on_signals(&self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting the signal listener")?;
        let (mut interrupt, mut terminate) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let stop = self.clone();
        // Ends with the process: it owns nothing that wants to be put in order.
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    if stop.is_asked() {
                        exit(EXIT_INTERRUPTED);
                    }
                    stop.ask();
                }
            });
        })?;
        Ok(())
    }
}
