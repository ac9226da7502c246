//! Viewers, and what each saw.

use crate::faults::invariants::{Invariant, Violations};
use crate::viewer::Viewer;
use contracts::{Snapshot, Version};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long a viewer waits for a frame before it looks whether it is to stop.
const FRAME_LIMIT: Duration = Duration::from_secs(5);
const RECONNECT_PAUSE: Duration = Duration::from_millis(250);

/// What a viewer shows.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    /// The newest frame.
    pub last: Option<Snapshot>,
    /// How many frames came.
    pub frames: u64,
    /// How often it connected.
    pub connects: u64,
    /// The longest time between two frames.
    pub longest_silence: Duration,
    /// When that ended.
    pub silent_until: Option<Instant>,
    /// When and how the leader had fewer points than in the frame before, under a new epoch.
    pub setbacks: Vec<(Instant, String)>,
    last_at: Option<Instant>,
}

impl Screen {
    /// Shows a frame; says what is wrong with it.
    fn show(&mut self, frame: Snapshot, at: Instant) -> Option<String> {
        self.frames += 1;
        if let Some(before) = self.last_at.replace(at)
            && at - before > self.longest_silence
        {
            (self.longest_silence, self.silent_until) = (at - before, Some(at));
        }
        let mut wrong = None;
        if let Some(last) = &self.last {
            let leader = |snapshot: &Snapshot| snapshot.user_list.first().map_or(0, |row| row.score.units());
            if frame.version < last.version {
                wrong = Some(format!("{:?} after {:?}", frame.version, last.version));
            } else if frame.user_list.len() < last.user_list.len() {
                wrong = Some(format!("{} rows after {}", frame.user_list.len(), last.user_list.len()));
            } else if leader(&frame) < leader(last) {
                let how = format!(
                    "the leader fell from {} to {}, {:?} to {:?}{}",
                    leader(last),
                    leader(&frame),
                    last.version,
                    frame.version,
                    if frame.rebuilding { ", rebuilding" } else { "" }
                );
                if frame.version.epoch == last.version.epoch {
                    wrong = Some(how);
                } else {
                    self.setbacks.push((at, how));
                }
            }
        }
        self.last = Some(frame);
        wrong
    }

    /// Where the board stood in the newest frame.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.last.as_ref().map(|frame| frame.version)
    }
}

/// A crowd before several websockets.
pub struct Viewers {
    screens: Vec<Arc<Mutex<Screen>>>,
    watching: JoinSet<()>,
}

impl Viewers {
    /// `count` viewers, spread over `urls`. Each stays with its URL: another controller may be
    /// behind this one, which only a client that says what it has seen can be told apart from.
    #[must_use]
    pub fn connect(count: usize, urls: &[String], violations: &Arc<Violations>) -> Self {
        let mut watching = JoinSet::new();
        let screens = (0..count)
            .map(|number| {
                let screen = Arc::<Mutex<Screen>>::default();
                let url = urls[number % urls.len()].clone();
                watching.spawn(watch(number, url, Arc::clone(&screen), Arc::clone(violations)));
                screen
            })
            .collect();
        Self { screens, watching }
    }

    /// What each shows now.
    #[must_use]
    pub fn screens(&self) -> Vec<Screen> {
        self.screens
            .iter()
            .map(|screen| screen.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }

    /// How many still watch.
    #[must_use]
    pub fn watching(&self) -> usize {
        self.watching.len()
    }
}

async fn watch(number: usize, url: String, screen: Arc<Mutex<Screen>>, violations: Arc<Violations>) {
    let lock = || screen.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let connected = tokio::time::timeout(FRAME_LIMIT, Viewer::try_connect(&url)).await;
        let Ok(Ok(mut viewer)) = connected else {
            tokio::time::sleep(RECONNECT_PAUSE).await;
            continue;
        };
        lock().connects += 1;
        while let Some(frame) = viewer.until_end().await {
            match serde_json::from_str(&frame.text) {
                Ok(snapshot) => {
                    if let Some(wrong) = lock().show(snapshot, frame.at) {
                        violations.add(Invariant::ViewerNeverGoesBack, format!("viewer {number}: {wrong}"));
                    }
                }
                Err(error) => violations.add(Invariant::ViewerNeverGoesBack, format!("no snapshot: {error}")),
            }
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::{PlayerId, Score, SnapshotEntry};

    fn frame(epoch: u64, version: u64, totals: &[i64]) -> Snapshot {
        let row =
            |total: &i64| SnapshotEntry::new(1, &PlayerId::new("p").unwrap(), Score::new(*total, 0), None);
        Snapshot {
            user_list: totals.iter().map(row).collect(),
            current_time_ms: 0.0,
            board: "b".into(),
            window: "all".into(),
            version: Version { epoch, version },
            players: 1,
            rebuilding: false,
            stages: None,
        }
    }

    #[test]
    fn frames_that_go_back_are_wrong() {
        let now = Instant::now();
        let wrong = |second: Snapshot| {
            let mut screen = Screen::default();
            assert_eq!(screen.show(frame(2, 5, &[9, 8]), now), None);
            screen.show(second, now).is_some()
        };
        assert!(wrong(frame(2, 4, &[9, 8])) && wrong(frame(1, 9, &[9, 8])));
        assert!(wrong(frame(2, 6, &[9])) && wrong(frame(2, 6, &[8, 8])));
        assert!(
            !wrong(frame(2, 5, &[9, 8])) && !wrong(frame(3, 0, &[7, 6])) && !wrong(frame(2, 6, &[10, 8]))
        );
    }

    #[test]
    fn the_longest_silence_is_kept() {
        let (mut screen, begun) = (Screen::default(), Instant::now());
        for millis in [0, 500, 2500, 3000] {
            screen.show(frame(1, millis, &[1]), begun + Duration::from_millis(millis));
        }
        assert_eq!((screen.longest_silence, screen.frames), (Duration::from_secs(2), 4));
    }
}
