//! What viewers saw, and when. Pure.
//!
//! All viewers see mostly the same frames, so each is read once and a sighting is 16 bytes.

use crate::ledger::digest;
use contracts::{Snapshot, Stages, Version};
use indexmap::IndexSet;
use std::collections::HashMap;

/// How many sightings are kept: 160 MB. Later ones are counted, and the newest frame and when it came
/// are known.
pub const MAX_SIGHTINGS: usize = 10_000_000;
/// How many different frames are taken in: at two a second, half a week.
pub const MAX_FRAMES: usize = 600_000;

/// A frame, as far as it is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The window.
    pub window: Box<str>,
    /// Where the board stood.
    pub version: Version,
    /// Whether the rows are the last good ones of a board that is being rebuilt.
    pub rebuilding: bool,
    /// Best first: the player's [number](Sightings::player), and the total in units of the board's
    /// last decimal.
    pub rows: Vec<(u32, i64)>,
    /// When the newest event on the board passed each stage.
    pub stages: Option<Stages>,
}

/// A frame that came to a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When, in nanoseconds after the run's beginning; before it, 0.
    pub at_nanos: u64,
    /// The [frame](Sightings::frame)'s number.
    pub frame: u32,
}

/// What one viewer saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What came, in its order.
    pub sightings: Vec<Sighting>,
    /// The newest frame.
    pub newest: Option<u32>,
    /// When it came, in nanoseconds after the run's beginning.
    pub newest_nanos: u64,
    /// Whether it is connected.
    pub connected: bool,
    /// How often it has connected.
    pub connects: u32,
    /// Why the connection last ended or was refused.
    pub fault: Option<String>,
}

/// What all viewers saw.
#[derive(Clone, Debug)]
pub struct Sightings {
    decimals: u8,
    frames: Vec<Frame>,
    known: HashMap<u64, u32>,
    players: IndexSet<Box<str>>,
    viewers: Vec<Seen>,
    kept: usize,
    /// How many sightings there was no room for.
    pub not_kept: u64,
    /// Why a message could not be taken in, of the first such.
    pub unreadable: Option<String>,
    /// Whether there were more than [`MAX_FRAMES`] different frames: then nothing can be judged.
    pub too_many_frames: bool,
}

impl Sightings {
    /// So many viewers of a board with so many decimals, who have seen nothing.
    #[must_use]
    pub fn new(viewers: usize, decimals: u8) -> Self {
        Self {
            decimals,
            frames: Vec::new(),
            known: HashMap::new(),
            players: IndexSet::new(),
            viewers: vec![Seen::default(); viewers],
            kept: 0,
            not_kept: 0,
            unreadable: None,
            too_many_frames: false,
        }
    }

    /// A message came to a viewer.
    pub fn see(&mut self, viewer: usize, at_nanos: u64, text: &str) {
        let frame = match self.frame_of(text) {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                self.too_many_frames = true;
                return;
            }
            Err(why) => {
                self.unreadable.get_or_insert(why);
                return;
            }
        };
        let seen = &mut self.viewers[viewer];
        seen.newest = Some(frame);
        seen.newest_nanos = at_nanos;
        if self.kept < MAX_SIGHTINGS {
            seen.sightings.push(Sighting { at_nanos, frame });
            self.kept += 1;
        } else {
            self.not_kept += 1;
        }
    }

    /// The number of the frame with that text; `None` when there is no room for another.
    fn frame_of(&mut self, text: &str) -> Result<Option<u32>, String> {
        let key = digest(text.as_bytes());
        if let Some(frame) = self.known.get(&key) {
            return Ok(Some(*frame));
        }
        if self.frames.len() >= MAX_FRAMES {
            return Ok(None);
        }
        let snapshot: Snapshot = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut rows = Vec::with_capacity(snapshot.user_list.len());
        for row in snapshot.user_list {
            let total = row.score.units_at(self.decimals);
            let total = total.ok_or_else(|| format!("{} has more decimals than the board", row.score))?;
            rows.push((self.player_number(row.user_id), total));
        }
        let number = u32::try_from(self.frames.len()).expect("frames are few");
        self.frames.push(Frame {
            window: snapshot.window.into(),
            version: snapshot.version,
            rebuilding: snapshot.rebuilding,
            rows,
            stages: snapshot.stages,
        });
        self.known.insert(key, number);
        Ok(Some(number))
    }

    fn player_number(&mut self, player: String) -> u32 {
        let (number, _) = self.players.insert_full(player.into());
        u32::try_from(number).expect("players on screens are few")
    }

    /// Until when all that came is kept, in nanoseconds after the run's beginning.
    #[must_use]
    pub fn kept_until(&self) -> u64 {
        if self.not_kept == 0 {
            return u64::MAX;
        }
        let last = |seen: &Seen| seen.sightings.last().map_or(0, |last| last.at_nanos);
        self.viewers.iter().map(last).min().unwrap_or(u64::MAX)
    }

    /// Marks that a viewer has connected.
    pub fn connected(&mut self, viewer: usize) {
        let seen = &mut self.viewers[viewer];
        seen.connected = true;
        seen.connects += 1;
    }

    /// Marks that a viewer's connection has ended, or was refused.
    pub fn disconnected(&mut self, viewer: usize, why: String) {
        let seen = &mut self.viewers[viewer];
        seen.connected = false;
        seen.fault = Some(why);
    }

    /// The viewers.
    #[must_use]
    pub fn viewers(&self) -> &[Seen] {
        &self.viewers
    }

    /// All different frames that were seen, in the order in which they were first.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The frame of that number.
    #[must_use]
    pub fn frame(&self, number: u32) -> &Frame {
        &self.frames[number as usize]
    }

    /// The players who were on a screen; their numbers are their places here.
    pub fn players(&self) -> impl Iterator<Item = &str> {
        self.players.iter().map(|player| &**player)
    }

    /// The player of that number.
    #[must_use]
    pub fn player(&self, number: u32) -> &str {
        &self.players[number as usize]
    }

    /// How many sightings are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A frame's text.
    pub(crate) fn text(version: u64, rows: &[(&str, &str)]) -> String {
        let rows: Vec<String> = rows
            .iter()
            .zip(1..)
            .map(|((player, score), rank)| {
                format!(r#"{{"rank":{rank},"score":{score},"nickname":"n","user_id":"{player}"}}"#)
            })
            .collect();
        format!(
            r#"{{"user_list":[{}],"current_time_ms":1.0,"board":"b","window":"all","epoch":1,"version":{version},"players":9}}"#,
            rows.join(",")
        )
    }

    #[test]
    fn a_frame_that_all_see_is_kept_once() {
        let mut sightings = Sightings::new(2, 1);
        for viewer in 0..2 {
            sightings.see(viewer, 5, &text(1, &[("7", "2.5"), ("8", "2")]));
        }
        sightings.see(0, 6, &text(2, &[("8", "3"), ("7", "2.5")]));
        assert_eq!((sightings.frames().len(), sightings.kept()), (2, 3));
        assert_eq!(sightings.frame(0).rows, [(0, 25), (1, 20)]);
        assert_eq!(sightings.frame(1).rows, [(1, 30), (0, 25)]);
        assert_eq!(sightings.player(1), "8");
        assert_eq!(sightings.viewers()[0].sightings[1], Sighting { at_nanos: 6, frame: 1 });
        assert_eq!(
            sightings.viewers().iter().map(|seen| seen.newest).collect::<Vec<_>>(),
            [Some(1), Some(0)]
        );
    }

    #[test]
    fn what_is_no_frame_is_said() {
        let mut sightings = Sightings::new(1, 0);
        sightings.see(0, 0, "hello");
        assert!(sightings.unreadable.is_some() && sightings.kept() == 0);
        let mut sightings = Sightings::new(1, 0);
        sightings.see(0, 0, &text(1, &[("7", "2.5")]));
        assert_eq!(sightings.unreadable.as_deref(), Some("2.5 has more decimals than the board"));
    }
}
