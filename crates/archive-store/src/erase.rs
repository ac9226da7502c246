//! Taking a player's name out of the archive without breaking its books.
//!
//! Rows keep their coordinates, times and scores, so that every sum and every count stays as it
//! was; who it was becomes a pseudonym, the same one whenever it is done again. An event id
//! becomes a salted digest, so that resubmissions are told apart as before. Tags stay: boards count
//! by them, also those that are added later.

use crate::batch::RefusedRecord;
use crate::connection::{Failure, within};
use crate::store::ArchiveStore;
use contracts::naming::{names_any, names_player};
use contracts::{PlayerId, Refusal, ScoreEvent};
use pipeline::WriteError;
use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::Duration;

/// How long looking through the whole archive may take.
const LIMIT: Duration = Duration::from_secs(3600);
/// How many refused records are looked at in one go.
const PAGE_ROWS: i64 = 1000;

/// What a refused record that named an erased player has in place of its message.
pub const REDACTED: &str = "redacted: the record named a player who was erased";

/// Where a player is found in the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How many events.
    pub events: u64,
    /// How many refused records that name the player, by their key or as far as they can be read.
    pub refused: u64,
    /// The pseudonym, if the player was erased before.
    pub pseudonym: Option<PlayerId>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedFromArchive {
    /// Under which the events stand now.
    pub pseudonym: PlayerId,
    /// How many events got the pseudonym now.
    pub events: u64,
    /// How many refused records were redacted now.
    pub refused: u64,
}

/// Who was erased, for those who hold the archive against a log that still names them.
#[derive(Clone, Debug, Default)]
pub struct ErasedPlayers {
    salt: Vec<u8>,
    pseudonyms: HashMap<Vec<u8>, PlayerId>,
}

impl ErasedPlayers {
    /// The pseudonym of a player who was erased.
    #[must_use]
    pub fn pseudonym(&self, player: &PlayerId) -> Option<&PlayerId> {
        self.pseudonym_of(player.as_str())
    }

    fn pseudonym_of(&self, player: &str) -> Option<&PlayerId> {
        if self.pseudonyms.is_empty() {
            return None;
        }
        self.pseudonyms.get(&self.id_digest(player))
    }

    /// Whether this is a pseudonym.
    #[must_use]
    pub fn is_pseudonym(&self, player: &PlayerId) -> bool {
        self.pseudonyms().any(|pseudonym| pseudonym == player)
    }

    /// All pseudonyms.
    pub fn pseudonyms(&self) -> impl Iterator<Item = &PlayerId> {
        self.pseudonyms.values()
    }

    /// The event as the archive has it once its player was erased; `None` when the player was
    /// not. One that arrived after that stands under the player's own name until it is done again.
    #[must_use]
    pub fn archived(&self, event: &ScoreEvent) -> Option<ScoreEvent> {
        let pseudonym = self.pseudonym(&event.player)?;
        Some(ScoreEvent {
            player: pseudonym.clone(),
            score: event.score,
            created_at: event.created_at,
            event_id: event.event_id.as_deref().map(|id| self.event_id(pseudonym, id)),
            nickname: None,
            tags: event.tags.clone(),
            unknown: BTreeMap::new(),
        })
    }

    /// The refused record as the archive has it once who is named in it was erased; `None` when
    /// nobody was. What is said of an event that arrived after that holds here, too.
    #[must_use]
    pub fn redacted(&self, record: &RefusedRecord) -> Option<RefusedRecord> {
        let was_erased = |player: &str| self.pseudonym_of(player).is_some();
        let by_key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
        let is_named = by_key.is_some_and(was_erased)
            || record.payload.as_deref().is_some_and(|payload| names_any(payload, was_erased));
        is_named.then(|| RefusedRecord {
            refusal: Refusal { message: REDACTED.to_owned(), ..record.refusal.clone() },
            key: None,
            payload: None,
        })
    }

    fn id_digest(&self, player: &str) -> Vec<u8> {
        Sha256::new().chain_update(&self.salt).chain_update(player).finalize().to_vec()
    }

    /// What stands for the id of an event of a player who was erased, as the statement in
    /// [`rename`] makes it. 64 characters: the longest that an id may be.
    #[must_use]
    pub fn event_id(&self, pseudonym: &PlayerId, event_id: &str) -> Box<str> {
        let digest = Sha256::new()
            .chain_update(&self.salt)
            .chain_update(pseudonym.as_str())
            .chain_update("\n")
            .chain_update(event_id)
            .finalize();
        let hex = digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes everything");
            hex
        });
        hex.into()
    }
}

impl ArchiveStore {
    /// Where `player` is found. Changes nothing.
    ///
    /// # Errors
    /// Never [`WriteError::Fenced`].
    pub async fn find(&self, player: &PlayerId) -> Result<Found, WriteError> {
        within(LIMIT, async {
            let mut connection = self.connections.patient().await?;
            let pseudonym = erased(&mut connection).await?.pseudonym(player).cloned();
            let events: i64 =
                sqlx::query_scalar("SELECT count(*) FROM leaderboard.game_score WHERE user_id = $1")
                    .bind(player.as_str())
                    .fetch_one(&mut connection)
                    .await?;
            let refused = refused_naming(&mut connection, player).await?.0.len() as u64;
            connection.close().await?;
            Ok(Found { events: events.unsigned_abs(), refused, pseudonym })
        })
        .await
    }

    /// Gives everything that stands under `player` to the player's pseudonym and redacts what was
    /// refused, in one transaction. Doing it again takes what has come since.
    ///
    /// # Errors
    /// [`WriteError::Impossible`] when `player` is a pseudonym; never [`WriteError::Fenced`].
    pub async fn erase(&self, player: &PlayerId) -> Result<ErasedFromArchive, WriteError> {
        within(LIMIT, async {
            let mut connection = self.connections.patient().await?;
            let mut transaction = connection.begin().await?;
            sqlx::query("SET LOCAL lock_timeout = '10s'").execute(&mut *transaction).await?;
            sqlx::query(
                "INSERT INTO leaderboard.erasure_salt (salt) \
                 VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')) \
                 ON CONFLICT DO NOTHING",
            )
            .execute(&mut *transaction)
            .await?;
            let erased = erased(&mut transaction).await?;
            if erased.is_pseudonym(player) {
                return Err(Failure::Impossible(format!("{player} is a pseudonym already")));
            }
            // The row is locked until the end: of two at once, the other waits.
            let pseudonym: String = sqlx::query_scalar(
                "INSERT INTO leaderboard.erased_player (pseudonym, id_digest, erased_at) \
                 VALUES ('erased-' || left(replace(gen_random_uuid()::text, '-', ''), 12), $1, now()) \
                 ON CONFLICT (id_digest) DO UPDATE SET erased_at = now() \
                 RETURNING pseudonym",
            )
            .bind(erased.id_digest(player.as_str()))
            .fetch_one(&mut *transaction)
            .await?;
            let events = rename(&mut transaction, player, &pseudonym).await?;
            sqlx::query("UPDATE leaderboard.final_standing SET user_id = $2 WHERE user_id = $1")
                .bind(player.as_str())
                .bind(&pseudonym)
                .execute(&mut *transaction)
                .await?;
            let refused = redact(&mut transaction, player).await?;
            transaction.commit().await?;
            connection.close().await?;
            let pseudonym =
                PlayerId::new(pseudonym).map_err(|refusal| Failure::Impossible(refusal.message))?;
            Ok(ErasedFromArchive { pseudonym, events, refused })
        })
        .await
    }
}

pub(crate) async fn erased(connection: &mut PgConnection) -> Result<ErasedPlayers, Failure> {
    let salt = sqlx::query_scalar("SELECT salt FROM leaderboard.erasure_salt")
        .fetch_optional(&mut *connection)
        .await?;
    // Nobody was ever erased, or it was made sure that nobody can tell.
    let Some(salt) = salt else { return Ok(ErasedPlayers::default()) };
    let rows = sqlx::query("SELECT id_digest, pseudonym FROM leaderboard.erased_player")
        .fetch_all(connection)
        .await?;
    let pseudonym = |row: &sqlx::postgres::PgRow| {
        let pseudonym = PlayerId::new(row.try_get::<&str, _>(1)?);
        Ok((row.try_get(0)?, pseudonym.map_err(|refusal| Failure::Impossible(refusal.message))?))
    };
    Ok(ErasedPlayers { salt, pseudonyms: rows.iter().map(pseudonym).collect::<Result<_, Failure>>()? })
}

/// Returns how many events there were.
async fn rename(connection: &mut PgConnection, player: &PlayerId, pseudonym: &str) -> Result<u64, Failure> {
    let outcome = sqlx::query(
        "UPDATE leaderboard.game_score SET user_id = $2, nickname = NULL, extra = NULL, \
             event_id = encode(sha256((SELECT salt FROM leaderboard.erasure_salt) \
                 || convert_to($2 || E'\\n' || event_id, 'UTF8')), 'hex') \
         WHERE user_id = $1",
    )
    .bind(player.as_str())
    .bind(pseudonym)
    .execute(connection)
    .await?;
    Ok(outcome.rows_affected())
}

/// Returns how many refused records named the player.
async fn redact(connection: &mut PgConnection, player: &PlayerId) -> Result<u64, Failure> {
    let (partitions, offsets) = refused_naming(connection, player).await?;
    sqlx::query(
        "UPDATE leaderboard.refused_record SET message = $3, record_key = NULL, payload = NULL \
         WHERE (kafka_partition, kafka_offset) IN (SELECT * FROM unnest($1::int[], $2::bigint[]))",
    )
    .bind(&partitions)
    .bind(&offsets)
    .bind(REDACTED)
    .execute(connection)
    .await?;
    Ok(offsets.len() as u64)
}

/// Partitions and offsets of the refused records whose key is the player, or whose payload names
/// the player as far as it can be read.
async fn refused_naming(
    connection: &mut PgConnection,
    player: &PlayerId,
) -> Result<(Vec<i32>, Vec<i64>), Failure> {
    let (mut partitions, mut offsets) = (Vec::new(), Vec::new());
    let (mut partition, mut offset) = (-1i32, -1i64);
    loop {
        // A payload that names the player has the id in it, unless some of it is escaped.
        let rows = sqlx::query(
            "SELECT kafka_partition, kafka_offset, record_key, payload FROM leaderboard.refused_record \
             WHERE (kafka_partition, kafka_offset) > ($2, $3) \
                 AND (record_key = $1 OR position($1 IN payload) > 0 OR position('\\x5c'::bytea IN payload) > 0) \
             ORDER BY kafka_partition, kafka_offset LIMIT $4",
        )
        .bind(player.as_str().as_bytes())
        .bind(partition)
        .bind(offset)
        .bind(PAGE_ROWS)
        .fetch_all(&mut *connection)
        .await?;
        let Some(last) = rows.last() else { return Ok((partitions, offsets)) };
        (partition, offset) = (last.try_get(0)?, last.try_get(1)?);
        for row in &rows {
            let (key, payload): (Option<&[u8]>, Option<&[u8]>) = (row.try_get(2)?, row.try_get(3)?);
            if key == Some(player.as_str().as_bytes())
                || payload.is_some_and(|payload| names_player(payload, player))
            {
                partitions.push(row.try_get(0)?);
                offsets.push(row.try_get(1)?);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::{EventTime, RefusalClass};

    #[test]
    fn only_the_erased_have_a_pseudonym() {
        let who = |id: &str| PlayerId::new(id).unwrap();
        let mut erased = ErasedPlayers { salt: b"salt".to_vec(), ..ErasedPlayers::default() };
        assert_eq!(erased.pseudonym(&who("a")), None);
        erased.pseudonyms.insert(erased.id_digest("a"), who("erased-1"));
        assert_eq!(erased.pseudonym(&who("a")), Some(&who("erased-1")));
        assert_eq!(erased.pseudonym(&who("b")), None);
        assert!(erased.is_pseudonym(&who("erased-1")) && !erased.is_pseudonym(&who("a")));
        let event = |id: &str| {
            let payload = format!(
                r#"{{"score":5,"user_id":"{id}","event_id":"e","nickname":"n","tags":{{"team":"t"}},"x":1}}"#
            );
            ScoreEvent::decode(Some(payload.as_bytes()), EventTime::UNIX_EPOCH).unwrap()
        };
        let archived = erased.archived(&event("a")).unwrap();
        assert_eq!((archived.player.as_str(), archived.event_id.unwrap().len()), ("erased-1", 64));
        assert_eq!((archived.nickname, archived.tags, archived.unknown.len()), (None, event("a").tags, 0));
        assert_eq!(erased.archived(&event("b")), None);
        let refused = |key: &[u8], payload: &[u8]| RefusedRecord {
            refusal: Refusal::of_record(RefusalClass::NotJson, "names a"),
            key: Some(key.to_vec()),
            payload: Some(payload.to_vec()),
        };
        for record in [refused(b"a", b"x"), refused(b"\xff", br#"{"user_id":"a","score"#)] {
            let redacted = erased.redacted(&record).unwrap();
            assert_eq!((redacted.key, redacted.payload), (None, None));
            assert_eq!(redacted.refusal.message, REDACTED);
        }
        assert_eq!(erased.redacted(&refused(b"b", br#"{"user_id":"b"}"#)), None);
    }
}
