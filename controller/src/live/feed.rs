//! From the topic `leaderboard` to the newest frame.

use super::Frame;
use anyhow::Context as _;
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

/// Takes the records of the topic and keeps the newest frame of one board.
pub struct Feed {
    board: String,
    newest: watch::Sender<Option<Arc<Frame>>>,
}

impl Feed {
    /// A feed of `board` that has seen nothing yet.
    #[must_use]
    pub fn new(board: &str) -> Self {
        Self { board: board.to_owned(), newest: watch::Sender::new(None) }
    }

    /// The newest frame, and word of newer ones.
    #[must_use]
    pub fn subscribe(&self) -> Newest {
        self.newest.subscribe()
    }

    /// Takes one record. Other boards, tombstones and what is older than the newest change
    /// nothing: viewers keep what they have.
    pub fn take(&self, key: Option<&[u8]>, value: Option<&[u8]>) {
        let (Some(key), Some(value)) = (key, value) else { return };
        if key != self.board.as_bytes() {
            return;
        }
        match Frame::decode(value) {
            Ok(frame) => {
                self.offer(frame);
            }
            Err(error) => {
                warn!(board = self.board, %error, "a record on the topic leaderboard is not a snapshot");
                counter!("controller_bad_snapshots_total").increment(1);
            }
        }
    }

    /// Makes `frame` the newest unless it is older, or the same; says whether it did.
    pub fn offer(&self, mut frame: Frame) -> bool {
        self.newest.send_if_modified(|newest| {
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
                past = newest_on(kafka.clone(), topic.clone(), self.board.clone()) => match past {
                    Ok(past) => {
                        info!(board = self.board, version = ?past.as_ref().map(Frame::version), "following");
                        if let Some(frame) = past {
                            self.offer(frame);
                        }
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

/// Reads the topic whole for the newest frame of `board`.
async fn newest_on(kafka: KafkaSettings, topic: String, board: String) -> anyhow::Result<Option<Frame>> {
    let read = tokio::task::spawn_blocking(move || {
        let past = Feed::new(&board);
        tail::read_all(&kafka, "controller-start", &topic, READ_LIMIT, |key, value| past.take(key, value))?;
        Ok(past.newest.send_replace(None).map(Arc::unwrap_or_clone))
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

    fn newest(feed: &Feed) -> Option<String> {
        feed.newest.borrow().as_ref().map(|frame| frame.text.to_string())
    }

    #[test]
    fn frame_is_the_published_bytes() {
        let feed = Feed::new("b");
        let published = snapshot(1, 1, r#", "later" : "members survive" "#);
        feed.take(Some(b"b"), Some(published.as_bytes()));
        assert_eq!(newest(&feed), Some(published));
    }

    #[test]
    fn older_and_equal_snapshots_change_nothing() {
        let feed = Feed::new("b");
        let mut seen = feed.subscribe();
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
        let feed = Feed::new("b");
        let good = snapshot(1, 1, "");
        feed.take(Some(b"b"), Some(good.as_bytes()));
        let newer = snapshot(9, 9, "");
        feed.take(Some(b"b"), None);
        feed.take(None, Some(newer.as_bytes()));
        feed.take(Some(b"other"), Some(newer.as_bytes()));
        feed.take(Some(b"b"), Some(b"not JSON"));
        feed.take(Some(b"b"), Some(b"\xff\xfe"));
        assert_eq!(newest(&feed), Some(good));
    }
}
