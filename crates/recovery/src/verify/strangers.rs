//! What is on a board and must not be there.

use crate::verify::board::{Broken, Comparison, PAGE_ROWS, Stands, said};
use crate::verify::findings::{At, Difference, Kind};
use crate::verify::views::{Met, ViewId};
use boards::View;
use contracts::PlayerId;
use std::collections::{BTreeMap, BTreeSet};

/// How many views are counted at once: Redis serves nobody else for about 2 ms.
const PAGE_VIEWS: usize = 512;
/// How many unknown members of a view are held before they are asked for.
const MAX_STRANGERS: usize = 10_000;

impl Comparison<'_> {
    /// Holds the number of players in each view against the fold's; looks for strangers where there
    /// are others.
    pub(crate) async fn count_players(&mut self) -> Result<(), Broken> {
        let mut named_again = BTreeSet::new();
        let mut counted = 0;
        while counted < self.fold.views().len() {
            let (views, next) = self.fold.views().after(counted, PAGE_VIEWS);
            counted = next;
            for Stands { view, listed, players, rows } in self.erased_in(&views).await? {
                let named = || rows.iter().filter(|(_, stored)| stored.named.score.is_some());
                let twice = named().filter(|(_, stored)| stored.own.score.is_some()).count() as u64;
                named_again.extend(named().map(|(pseudonym, _)| pseudonym.clone()));
                let must = self.fold.views().players(view);
                if must > 0 && !self.is_there(view, listed, players).await? {
                    continue;
                }
                let missing = self.missing.get(&view).copied().unwrap_or(0);
                let expected = (must + twice).saturating_sub(missing);
                if players != expected {
                    self.name_strangers(view, players, expected).await?;
                }
                self.part.views += u64::from(players > 0);
                self.part.players += players;
            }
        }
        self.part.named_again = named_again.len() as u64;
        Ok(())
    }

    /// Reads the views with those of their players who were erased.
    async fn erased_in(&mut self, views: &[ViewId]) -> Result<Vec<Stands>, Broken> {
        let asked = |comparison: &Self| -> BTreeMap<ViewId, Vec<PlayerId>> {
            let names = comparison.fold.names();
            let is_in =
                |view: ViewId, player: &PlayerId| comparison.fold.tally(view, player.as_str()).is_some();
            let erased = |view| names.keys().filter(|player| is_in(view, player)).cloned().collect();
            views.iter().map(|view| (*view, erased(*view))).collect()
        };
        loop {
            let rows = asked(self);
            let stands = self.page_of(rows.clone()).await?;
            // Reading on, the fold may have met more of them.
            if asked(self) == rows {
                return Ok(stands);
            }
        }
    }

    /// Looks through a whole view for those who are not in the log.
    async fn name_strangers(&mut self, id: ViewId, players: u64, expected: u64) -> Result<(), Broken> {
        let view = self.fold.views().view(id);
        let (mut cursor, mut unknown) = (0, BTreeSet::new());
        loop {
            let (next, members) = self.store.members(&view, cursor).await.map_err(anyhow::Error::from)?;
            unknown.extend(members.into_iter().filter(|member| !self.knows(id, member)));
            cursor = next;
            if cursor == 0 || unknown.len() > MAX_STRANGERS {
                break;
            }
        }
        // Some may have scored since: ask for them at offsets that the fold then reaches.
        let (asked, never): (Vec<_>, Vec<_>) = unknown
            .into_iter()
            .map(|member| PlayerId::new(member.as_str()).map_err(|_| member))
            .partition(Result::is_ok);
        let mut strangers = 0;
        for chunk in asked.into_iter().flatten().collect::<Vec<_>>().chunks(PAGE_ROWS) {
            let rows = self.page(&[(&view, chunk)]).await?.pop().map(|view| view.rows).unwrap_or_default();
            for (player, stored) in chunk.iter().zip(rows) {
                if let Some(score) = stored.score
                    && !self.knows(id, player.as_str())
                {
                    let what = format!("is there with {}", said(self.store.board(), score));
                    self.name_stranger(&view, player.as_str(), what);
                    strangers += 1;
                }
            }
        }
        for member in never.into_iter().filter_map(Result::err) {
            self.name_stranger(&view, &member.escape_debug().to_string(), "is no player's id".to_owned());
            strangers += 1;
        }
        if strangers == 0 {
            let at = self.at(&view);
            self.findings.add(Kind::PlayerCount, || Difference {
                at,
                what: format!("has {players} players, must have {expected}"),
            });
        }
        Ok(())
    }

    fn knows(&self, view: ViewId, member: &str) -> bool {
        self.fold.tally(view, member).is_some() || self.fold.is_erased_name(member)
    }

    fn name_stranger(&mut self, view: &View, player: &str, what: String) {
        let at = self.at_player(view, player);
        self.findings.add(Kind::UnknownPlayer, || Difference { at, what });
    }

    /// Looks through the board's views for those that no event has come to.
    pub(crate) async fn find_unknown_views(&mut self) -> Result<(), Broken> {
        let (mut cursor, mut unknown, mut never) = (0, BTreeMap::new(), BTreeSet::new());
        loop {
            let (next, views) = self.store.listed_views(cursor).await.map_err(anyhow::Error::from)?;
            for view in views {
                match view {
                    Ok(view) if self.has_players(&view) => {}
                    Ok(view) => drop(unknown.insert((view.value.clone(), view.window.id.clone()), view)),
                    Err(name) => drop(never.insert(name)),
                }
            }
            cursor = next;
            if cursor == 0 || unknown.len() > MAX_STRANGERS {
                break;
            }
        }
        // Some may have begun since: ask for them at offsets that the fold then reaches.
        for chunk in unknown.into_values().collect::<Vec<_>>().chunks(PAGE_VIEWS) {
            let asked: Vec<(&View, &[PlayerId])> = chunk.iter().map(|view| (view, [].as_slice())).collect();
            let stands = self.page(&asked).await?;
            for (view, stands) in chunk.iter().zip(stands).filter(|(_, stands)| stands.listed) {
                self.judge_unknown_view(view, stands.players).await?;
            }
        }
        for name in never {
            let board = self.store.board().name.clone();
            self.findings.add(Kind::UnknownView, || Difference {
                at: At::View { board, window: name.escape_debug().to_string() },
                what: "is no view that the board keeps".to_owned(),
            });
        }
        Ok(())
    }

    async fn judge_unknown_view(&mut self, view: &View, players: u64) -> Result<(), Broken> {
        if self.has_players(view) {
            return Ok(());
        }
        if self.fold.views().met(view) == Some(Met::Gone) {
            let window = &view.window.id;
            return Err(Broken::Moved(format!("the window {window} was gone and is there again")));
        }
        let at = self.at(view);
        self.findings
            .add(Kind::UnknownView, || Difference { at, what: format!("is there with {players} players") });
        Ok(())
    }

    /// Whether the log has players of the view.
    fn has_players(&self, view: &View) -> bool {
        let views = self.fold.views();
        matches!(views.met(view), Some(Met::Folded(id)) if views.players(id) > 0)
    }
}
