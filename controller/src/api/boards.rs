//! The boards as they may be shown.

use super::names::Names;
use super::past::{self, Past, PastWindows};
use crate::live::Newest;
use crate::problem::{Kind, Problem};
use board_store::{BoardStore, DENSE_RANK_LIMIT, NamedPlace, Place, Reader, Reading, Rows, StoreError};
use boards::{Board, BoardSet, RankMode, View, Window};
use contracts::{EventTime, PlayerId, Version};
use metrics::counter;
use service::Clock;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tracing::{debug, error};

/// How long one read may take. Longer than that, and the client is better told.
const READ_LIMIT: Duration = Duration::from_secs(2);
/// Before everything.
pub(super) const NEVER: Version = Version { epoch: 0, version: 0 };

/// The boards that can be asked about.
pub(super) struct Boards {
    set: BoardSet,
    /// One for each `[[board]]`, in their order.
    stored: Vec<Stored>,
    past: PastWindows,
    /// What players are called.
    pub(super) names: Names,
    clock: Clock,
}

/// A `[[board]]`.
struct Stored {
    store: BoardStore,
    /// What viewers were last shown of it; there are none of boards per value.
    newest: Option<Newest>,
}

/// A board as a client has named it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'b> {
    /// The index of its `[[board]]`.
    pub(super) index: usize,
    /// The value, where that is per value.
    pub(super) value: Option<&'b str>,
    /// Its rules.
    pub(super) rules: &'b Board,
}

/// What is ranked: of the `[[board]]` at an index, a view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) index: usize,
    pub(super) view: View,
}

impl Subject {
    /// The id of its window.
    pub(super) fn window(&self) -> &str {
        &self.view.window.id
    }
}

impl Named<'_> {
    /// What the board ranks in a window.
    pub(super) fn within(&self, window: Arc<Window>) -> Subject {
        Subject { index: self.index, view: View { value: self.value.map(Into::into), window } }
    }
}

/// The board that the API calls so.
pub(crate) fn named<'b>(set: &'b BoardSet, name: &'b str) -> Result<(usize, Option<&'b str>), Problem> {
    set.find(name).ok_or_else(|| {
        let per_value = set.get(name).and_then(|board| board.per_value.as_ref());
        let detail = match per_value {
            Some(per_value) => format!(
                "there is no board `{name}`, but one for each value of `{}`, such as `{name}:x`",
                per_value.tag
            ),
            None => format!("there is no board `{name}`"),
        };
        Problem::new(Kind::UnknownBoard, detail)
    })
}

impl Boards {
    /// `stores` and `newest` are those of the boards of `set`, in their order.
    pub(super) fn new(
        set: BoardSet,
        stores: Vec<BoardStore>,
        newest: Vec<Option<Newest>>,
        past: PastWindows,
        clock: Clock,
    ) -> Self {
        // Names are no board's own.
        let names = Names::of(stores[0].clone());
        let stored = stores.into_iter().zip(newest).map(|(store, newest)| Stored { store, newest });
        Self { set, stored: stored.collect(), past, names, clock }
    }

    /// The rules of every `[[board]]`.
    pub(super) fn set(&self) -> &BoardSet {
        &self.set
    }

    pub(super) fn store(&self, index: usize) -> &BoardStore {
        &self.stored[index].store
    }

    pub(super) fn now(&self) -> EventTime {
        EventTime::from_micros(self.clock.now_micros()).unwrap_or(EventTime::UNIX_EPOCH)
    }

    /// The board that a client calls so.
    pub(super) fn named<'b>(&'b self, name: &'b str) -> Result<Named<'b>, Problem> {
        let (index, value) = named(&self.set, name)?;
        Ok(Named { index, value, rules: &self.set[index] })
    }

    /// The `[[board]]` at that index, which must not be per value.
    pub(super) fn of_index(&self, index: usize) -> Named<'_> {
        Named { index, value: None, rules: &self.set[index] }
    }

    /// What the API calls the board.
    pub(super) fn name_of(&self, subject: &Subject) -> Cow<'_, str> {
        self.set[subject.index].name_of(subject.view.value.as_deref())
    }

    /// What viewers were last shown of a board.
    pub(super) fn newest(&self, index: usize) -> Option<&Newest> {
        self.stored[index].newest.as_ref()
    }

    /// Where a board stood when viewers were last shown it; before everything if they were not.
    pub(super) fn shown_version(&self, index: usize) -> Version {
        let newest = self.newest(index).map(|newest| newest.borrow());
        newest.and_then(|newest| newest.as_ref().map(|frame| frame.version())).unwrap_or(NEVER)
    }

    /// What grows whenever that of any board does.
    pub(super) fn shown_versions(&self) -> Version {
        (0..self.stored.len()).map(|index| self.shown_version(index)).fold(NEVER, |all, shown| Version {
            epoch: all.epoch + shown.epoch,
            version: all.version + shown.version,
        })
    }

    /// Whether nothing changes the window any more, by our clock: it may have left Redis.
    pub(super) fn is_over(&self, subject: &Subject) -> bool {
        self.has_come(self.set[subject.index].final_at(&subject.view.window))
    }

    fn has_come(&self, at: Option<EventTime>) -> bool {
        at.is_some_and(|at| at <= self.now())
    }

    /// Reads what is ranked, unless that would show what is older than what viewers were shown, or
    /// half of it; of a window that has left Redis, `of_past` is asked the same. `nothing` is what is
    /// found on a board on which nothing has happened yet.
    pub(super) async fn look<'b, T, R>(
        &'b self,
        subject: &Subject,
        read: impl FnOnce(Reader<'b>) -> R,
        of_past: impl FnOnce(&Past) -> T,
        nothing: T,
    ) -> Result<Reading<T>, Problem>
    where
        R: Future<Output = Result<Option<Reading<T>>, StoreError>>,
    {
        let (board, window) = (&self.set[subject.index], &*subject.view.window);
        let reader = self.store(subject.index).view(&subject.view);
        if !self.is_over(subject) {
            return self.look_at(subject.index, read(reader), nothing).await;
        }
        let (name, is_gone) = (self.name_of(subject), self.has_come(board.gone_at(window)));
        if is_gone
            && let Some(past) = self.past.get(subject, board, &name).await?
            && past.is_of(window)
        {
            return Ok(past.reading(of_past(&past)));
        }
        // It stays in Redis until it is kept elsewhere.
        let reading = self.look_at(subject.index, read(reader), nothing).await?;
        if reading.players > 0 {
            return Ok(reading);
        }
        if is_gone && !self.past.are_kept() {
            return Err(past::gone(&name, subject.window()));
        }
        // It may have left Redis just before that, or by another clock than ours. Of an id under which
        // nobody is found, what was kept with another beginning or end is the answer, too.
        match self.past.get(subject, board, &name).await? {
            Some(past) => Ok(past.reading(of_past(&past))),
            None => Ok(reading),
        }
    }

    /// The same of whatever is read of a board.
    pub(super) async fn look_at<T>(
        &self,
        index: usize,
        reading: impl Future<Output = Result<Option<Reading<T>>, StoreError>>,
        nothing: T,
    ) -> Result<Reading<T>, Problem> {
        // Taken before the read: what is shown while it runs may well be newer than what it finds.
        let shown = self.shown_version(index);
        match within_limits(reading).await? {
            Some(reading) if reading.state.are_fit() && reading.version >= shown => Ok(reading),
            Some(Reading { state: Rows::Foreign, .. }) => {
                let name = &self.set[index].name;
                let detail = format!("board `{name}` was made under other rules, and has to be rebuilt");
                Err(Problem::new(Kind::BoardRebuilding, detail))
            }
            None if shown == NEVER => {
                Ok(Reading { version: NEVER, state: Rows::Current, players: 0, found: nothing })
            }
            _ => {
                let name = &self.set[index].name;
                let detail = format!("board `{name}` is being rebuilt and soon back");
                Err(Problem::new(Kind::BoardRebuilding, detail))
            }
        }
    }

    /// Where players stand, in their order.
    pub(super) async fn places(
        &self,
        subject: &Subject,
        players: &[&PlayerId],
        mode: RankMode,
    ) -> Result<Reading<Vec<Option<Place>>>, Problem> {
        let nobody = vec![None; players.len()];
        self.look(
            subject,
            |reader| reader.places(players.iter().copied(), mode),
            |past| past.places(players, mode),
            nobody,
        )
        .await
    }

    /// Where players stand and what they are called, in their order, in one round trip.
    pub(super) async fn named_places(
        &self,
        subject: &Subject,
        players: &[&PlayerId],
        mode: RankMode,
    ) -> Result<Reading<Vec<NamedPlace>>, Problem> {
        let unnamed = |places: Vec<_>| places.into_iter().map(|place| (place, None)).collect();
        let (mut is_past, nobody) = (false, unnamed(vec![None; players.len()]));
        let of_past = |past: &Past| {
            is_past = true;
            unnamed(past.places(players, mode))
        };
        let mut reading =
            self.look(subject, |reader| reader.named_places(players, mode), of_past, nobody).await?;
        if is_past {
            let names = within_limits(self.store(subject.index).names(players.iter().copied())).await?;
            reading.found.iter_mut().zip(names).for_each(|((_, given), name)| *given = name);
        }
        Ok(reading)
    }
}

/// What a store's failure means to a client.
pub(super) async fn within_limits<T>(
    reading: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Problem> {
    let away = || {
        counter!("controller_read_failures_total").increment(1);
        Err(Problem::new(Kind::BoardUnavailable, "the store of the boards does not answer"))
    };
    match timeout(READ_LIMIT, reading).await {
        Ok(Ok(found)) => Ok(found),
        // The check `redis` says so once; here it would be said for every request.
        Ok(Err(StoreError::Redis(error))) => {
            debug!(%error, "a read failed");
            away()
        }
        Ok(Err(StoreError::DenseRankUnknown)) => {
            let detail = format!("dense ranks are known up to {DENSE_RANK_LIMIT}; ask for another `rank`");
            Err(Problem::new(Kind::RankUnknown, detail).about("rank"))
        }
        Ok(Err(error)) => {
            error!(%error, "a read found what cannot be");
            Err(Problem::new(Kind::Internal, "the stored board cannot be understood"))
        }
        Err(_) => away(),
    }
}
