//! Which views a board has, and taking away those that are over.

use crate::keys;
use crate::store::{BoardStore, Connection, DROP_VIEW, StoreError};
use boards::View;
use contracts::EventTime;
use redis::Script;
use std::collections::HashSet;

impl<C: Connection> BoardStore<C> {
    /// The views that the board has, besides that of all players for all time; in no order.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn views(&self) -> Result<Vec<View>, StoreError> {
        let (mut views, mut cursor) = (HashSet::new(), 0);
        loop {
            let (next, listed) = self.listed_views(cursor).await?;
            views.extend(listed.into_iter().filter_map(Result::ok));
            cursor = next;
            if cursor == 0 {
                return Ok(views.into_iter().collect());
            }
        }
    }

    /// When the newest event came to the log, of those that the board has taken or that are not for
    /// it; `None` when there was none.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn newest_arrival(&self) -> Result<Option<EventTime>, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(keys::state(&self.board.name)).arg("newest");
        let millis: Option<f64> = command.query_async(&mut self.connection.clone()).await?;
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of the years 1 to 9999")]
        Ok(millis.and_then(|millis| EventTime::from_millis(millis.floor() as i64)))
    }

    /// Whether the board in Redis was made under the rules that this store has of it.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn has_these_rules(&self) -> Result<bool, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(keys::state(&self.board.name)).arg("rules");
        let rules: Option<String> = command.query_async(&mut self.connection.clone()).await?;
        Ok(rules.is_some_and(|rules| rules == self.board.fingerprint()))
    }

    /// Takes a view away that is over and kept elsewhere, from the board that was begun at that
    /// epoch; says whether it did. It does not while the board is being mended.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn drop_view(&self, begun: u64, view: &View) -> Result<bool, StoreError> {
        let script = Script::new(DROP_VIEW);
        let mut call = script.key(&self.board.name);
        call.arg(begun).arg(keys::view(view.value.as_deref(), &view.window.id));
        let dropped: u8 = call.invoke_async(&mut self.connection.clone()).await?;
        Ok(dropped == 1)
    }
}
