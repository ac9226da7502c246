//! Looking at where a board stands, without touching it.

use crate::keys;
use crate::store::{BoardStore, StoreError};
use contracts::Version;
use std::collections::BTreeMap;

/// Where a board stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peek {
    /// The board's epoch and version.
    pub version: Version,
    /// The rules under which it was made.
    pub rules: String,
    /// Whether readers see the last good rows while it is rebuilt.
    pub rebuilding: bool,
    /// `topic/partition`, without the deployment's prefix → the next offset to apply.
    pub offsets: BTreeMap<String, i64>,
}

impl BoardStore {
    /// Where the board stands; `None` when Redis knows nothing of it. Changes nothing, and takes
    /// a board that was made under other rules as it is.
    ///
    /// # Errors
    /// When Redis does not answer or holds what is not ours.
    pub async fn peek(&self) -> Result<Option<Peek>, StoreError> {
        let name = &self.board.name;
        let mut pipeline = redis::pipe();
        pipeline.atomic().hgetall(keys::state(name)).hgetall(keys::offsets(name));
        type Reply = (BTreeMap<String, String>, BTreeMap<String, i64>);
        let (state, offsets): Reply = pipeline.query_async(&mut self.connection.clone()).await?;
        if !state.contains_key("epoch") {
            return Ok(None);
        }
        let number = |field: &str| {
            state.get(field).and_then(|text| text.parse::<u64>().ok()).ok_or_else(|| StoreError::Corrupt {
                key: keys::state(name),
                what: format!("{field} is not a number"),
            })
        };
        Ok(Some(Peek {
            version: Version { epoch: number("epoch")?, version: number("version")? },
            rules: state.get("rules").cloned().unwrap_or_default(),
            rebuilding: state.contains_key("rebuilding") || state.get("entered") != state.get("left"),
            offsets,
        }))
    }
}
