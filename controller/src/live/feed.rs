//! From the topic `leaderboard` to the newest frame.

use super::Frame;
use anyhow::Context as _;
use boards::{Board, BoardSet};
use contracts::topics::LEADERBOARD;
use metrics::counter;
use pipeline::{KafkaSettings, tail};
use service::{Check, Stop};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};

/// How long reading the topic whole may take; compaction keeps it to a few megabytes.
const READ_LIMIT: Duration = Duration::from_secs(10);
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The newest frame of one board, if there is one. Only the newest matters, so nothing queues.
pub type Newest = watch::Receiver<Option<Arc<Frame>>>;

/// Takes the records of the topic and keeps the newest frame of each board that is published: those
/// that are not per value.
pub struct Feed {
    boards: BoardSet,
    /// One for each board, in their order; none for those per value.
    newer: Vec<Option<Newer>>,
}

type Newer = watch::Sender<Option<Arc<Frame>>>;

impl Feed {
    /// A feed of `boards` that has seen nothing yet.
    #[must_use]
    pub fn new(boards: BoardSet) -> Self {
        let newer = |board: &Board| board.per_value.is_none().then(|| watch::Sender::new(None));
        Self { newer: boards.iter().map(newer).collect(), boards }
    }

    /// For each board, in their order: the newest frame, and word of newer ones; `None` for boards
    /// per value.
    #[must_use]
    pub fn newest(&self) -> Vec<Option<Newest>> {
        self.newer.iter().map(|newer| newer.as_ref().map(watch::Sender::subscribe)).collect()
    }

    /// Takes one record. Boards that are not ours, tombstones and what is older than the newest change
    /// nothing: viewers keep what they have.
    pub fn take(&self, key: Option<&[u8]>, value: Option<&[u8]>) {
        let (Some(key), Some(value)) = (key, value) else { return };
        let of_key = self.boards.iter().zip(&self.newer).find(|(board, _)| board.name.as_bytes() == key);
        let Some((Board { name: board, .. }, Some(newer))) = of_key else { return };
        match Frame::decode(value) {
            Ok(frame) => drop(offer(newer, frame)),
            Err(error) => {
                warn!(board, %error, "a record on the topic leaderboard is not a snapshot");
                counter!("controller_bad_snapshots_total").increment(1);
            }
        }
    }

    /// Takes what another feed of the same boards has seen.
    fn take_over(&self, past: Self) {
        for ((board, newer), past) in self.boards.iter().zip(&self.newer).zip(past.newer) {
            let frame = past.and_then(|past| past.send_replace(None)).map(Arc::unwrap_or_clone);
            if let (Some(newer), Some(frame)) = (newer, frame) {
                info!(board = board.name, version = ?frame.version(), "following");
                offer(newer, frame);
            }
        }
    }

    /// Follows the topic until `stop`. `check` is fine while it does.
    ///
    /// The topic is read whole before the first frame is shown, so that a viewer who comes early
    /// does not see the board's past go by.
    ///
    /// # Errors
    /// When the Kafka settings are not valid. Brokers that are away are waited for.
    pub async fn follow(self, kafka: KafkaSettings, check: Check, stop: Stop) -> anyhow::Result<()> {
        let topic = kafka.topic(&LEADERBOARD);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                past = whole(kafka.clone(), topic.clone(), Self::new(self.boards.clone())) => match past {
                    Ok(past) => {
                        self.take_over(past);
                        break;
                    }
                    Err(error) => check.fail(format_args!("{error:#}")),
                },
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        // From the beginning again: nothing falls between the two readers, and versions decide.
        let on_record = move |key: Option<&[u8]>, value: Option<&[u8]>| self.take(key, value);
        let thread =
            tail::spawn(&kafka, "controller", topic, tail::From::Beginning, check, stop.clone(), on_record)?;
        let ended = tokio::task::spawn_blocking(move || thread.join()).await?;
        ended.map_err(|_| anyhow::anyhow!("the tail panicked"))?;
        anyhow::ensure!(stop.is_cancelled(), "the tail ended by itself");
        Ok(())
    }
}

/// Makes `frame` the newest unless it is older, or the same; says whether it did.
fn offer(newer: &Newer, mut frame: Frame) -> bool {
    newer.send_if_modified(|newest| {
        if let Some(current) = newest {
            if !frame.replaces(current) {
                return false;
            }
            frame.number = current.number + 1;
        }
        *newest = Some(Arc::new(frame));
        true
    })
}

/// Reads the topic whole, into a feed that has seen nothing.
async fn whole(kafka: KafkaSettings, topic: String, past: Feed) -> anyhow::Result<Feed> {
    let read = tokio::task::spawn_blocking(move || {
        tail::read_all(&kafka, "controller-start", &topic, READ_LIMIT, |key, value| past.take(key, value))?;
        Ok(past)
    });
    read.await.context("reading snapshots").flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(epoch: u64, version: u64, more: &str) -> String {
        format!(
            r#"{{"user_list":[],"current_time_ms":1.0,"board":"b","window":"all","epoch":{epoch},"version":{version},"players":0{more}}}"#
        )
    }

    /// `b`, which is one board, and `v`, of which there is one for each value.
    fn feed() -> Feed {
        let file = "[[board]]\nname = \"b\"\n[[board]]\nname = \"v\"\nmatch = { team = \"{team}\" }\n";
        Feed::new(BoardSet::parse(file).unwrap())
    }

    fn newest(feed: &Feed) -> Option<String> {
        feed.newest()[0].as_ref().unwrap().borrow().as_ref().map(|frame| frame.text.to_string())
    }

    #[test]
    fn frame_is_the_published_bytes() {
        let feed = feed();
        let published = snapshot(1, 1, r#", "later" : "members survive" "#);
        feed.take(Some(b"b"), Some(published.as_bytes()));
        assert_eq!(newest(&feed), Some(published));
    }

    #[test]
    fn older_and_equal_snapshots_change_nothing() {
        let feed = feed();
        let mut seen = feed.newest().swap_remove(0).unwrap();
        for (epoch, version, more, is_news) in [
            (2, 5, "", true),
            (2, 4, "", false),
            (1, 9, "", false),
            (2, 5, "", false),
            (2, 5, r#","rebuilding":true"#, true),
            (2, 6, "", true),
            (3, 0, "", true),
        ] {
            let published = snapshot(epoch, version, more);
            feed.take(Some(b"b"), Some(published.as_bytes()));
            assert_eq!(seen.has_changed().unwrap(), is_news, "{epoch} {version} {more}");
            seen.mark_unchanged();
        }
    }

    #[test]
    fn records_that_say_nothing_change_nothing() {
        let feed = feed();
        let good = snapshot(1, 1, "");
        feed.take(Some(b"b"), Some(good.as_bytes()));
        let newer = snapshot(9, 9, "");
        feed.take(Some(b"b"), None);
        feed.take(None, Some(newer.as_bytes()));
        feed.take(Some(b"other"), Some(newer.as_bytes()));
        feed.take(Some(b"v"), Some(newer.as_bytes()));
        feed.take(Some(b"b"), Some(b"not JSON"));
        feed.take(Some(b"b"), Some(b"\xff\xfe"));
        assert_eq!(newest(&feed), Some(good));
    }
}
