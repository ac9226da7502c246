//! Records that could not be decoded or applied (topic `game-score-dlq`).
//!
//! A dead letter's value is the refused record's bytes, untouched. Its key is
//! `topic/partition/offset` of the refused record, so a record refused twice (after a crash
//! between the dead letter and the stored offset) is recognised as one. Its headers say why.
//! A record under the same key with a header `replay` is a [mark](crate::replay), not a letter.

use crate::Refusal;

/// Where in the log a record stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Coordinates {
    /// The topic's name on the broker, prefix included.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset within the partition.
    pub offset: i64,
}

impl Coordinates {
    /// `topic/partition/offset`: the key of the dead letter.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }

    /// Reads `topic/partition/offset`; `None` when it is not that.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let mut parts = key.rsplitn(3, '/');
        let offset = parts.next()?.parse().ok().filter(|offset| *offset >= 0)?;
        let partition = parts.next()?.parse().ok().filter(|partition| *partition >= 0)?;
        let topic = parts.next().filter(|topic| !topic.is_empty())?.to_owned();
        Some(Self { topic, partition, offset })
    }
}

/// A refused record on its way to the dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where the refused record stands.
    pub coordinates: Coordinates,
    /// The refused record's key.
    pub record_key: Option<Vec<u8>>,
    /// The refused record's value, untouched.
    pub payload: Option<Vec<u8>>,
    /// The refused record's timestamp, in milliseconds since the Unix epoch.
    pub timestamp_ms: Option<i64>,
    /// Why it was refused.
    pub refusal: Refusal,
}

/// Who refused: a stage of the pipeline, as it stands in the `stage` header.
pub const STAGE_RANK: &str = "score-ranker";

impl DeadLetter {
    /// The headers that go with the bytes, as (name, value).
    #[must_use]
    pub fn headers(&self, stage: &str) -> Vec<(&'static str, Vec<u8>)> {
        let text = |value: &dyn ToString| value.to_string().into_bytes();
        let mut headers = vec![
            ("topic", text(&self.coordinates.topic)),
            ("partition", text(&self.coordinates.partition)),
            ("offset", text(&self.coordinates.offset)),
            ("stage", text(&stage)),
            ("error_class", text(&self.refusal.class)),
            ("message", text(&self.refusal.message)),
        ];
        if let Some(time) = self.timestamp_ms {
            headers.push(("time", text(&time)));
        }
        if let Some(field) = &self.refusal.field {
            headers.push(("field", text(field)));
        }
        if let Some(key) = &self.record_key {
            headers.push(("key", key.clone()));
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_read_as_they_are_written() {
        let coordinates = Coordinates { topic: "a.b_c-d".to_owned(), partition: 5, offset: 1_234 };
        assert_eq!(Coordinates::parse(&coordinates.key()), Some(coordinates));
        for key in ["", "t", "t/1", "/1/2", "t/x/2", "t/1/x", "t/-1/2", "t/1/-2", "t/1/2/"] {
            assert_eq!(Coordinates::parse(key), None, "{key}");
        }
    }
}
