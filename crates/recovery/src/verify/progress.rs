//! How far a run is, for whoever draws it.

use std::sync::atomic::{AtomicU64, Ordering};

/// How far a run is. All parts begin with nothing to do.
#[derive(Debug, Default)]
pub struct Progress {
    /// Records read from the log.
    pub log: Part,
    /// Rows read from the archive.
    pub archive: Part,
    /// Players compared.
    pub players: Part,
}

/// How far one part is.
#[derive(Debug, Default)]
pub struct Part {
    done: AtomicU64,
    all: AtomicU64,
}

impl Part {
    /// (done, all there is to do as far as is known).
    #[must_use]
    pub fn seen(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.all.load(Ordering::Relaxed))
    }

    pub(crate) fn expect(&self, all: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.all.store(all, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, by: u64) {
        self.done.fetch_add(by, Ordering::Relaxed);
    }
}

/// Counts one by one and tells from time to time, so that counting costs nothing.
pub(crate) struct Counter<'a> {
    part: &'a Part,
    untold: u64,
}

impl<'a> Counter<'a> {
    const TOLD_AT: u64 = 1024;

    pub(crate) fn of(part: &'a Part) -> Self {
        Self { part, untold: 0 }
    }

    pub(crate) fn one(&mut self) {
        self.untold += 1;
        if self.untold == Self::TOLD_AT {
            self.part.advance(self.untold);
            self.untold = 0;
        }
    }
}

impl Drop for Counter<'_> {
    fn drop(&mut self) {
        self.part.advance(self.untold);
    }
}
