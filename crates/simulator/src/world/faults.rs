//! What can go wrong in a run.

use super::{Slot, World};
use crate::redis::Keyspace;
use crate::truth::scores;
use std::sync::atomic::Ordering;

impl World {
    pub(super) fn fault(&mut self) -> Result<(), String> {
        match self.choices.below(16) {
            0 => self.lose_redis_answer(false)?,
            1 => self.lose_redis_answer(true)?,
            2 => self.apply_late()?,
            3 => self.lose_desk_answer(),
            4 | 5 => self.kill(),
            6 => self.stop_or_go_on(),
            7 => self.start_dead(),
            8 => self.redis_restarts()?,
            9 => self.redis_is_emptied()?,
            10 => self.redis.with_server(|server| server.forget_scripts()),
            11 => self.log_loses_its_oldest(),
            12 => self.archive_comes_back_older(),
            13 => self.partition_is_added(),
            14 => self.wall_clock_steps(),
            _ => self.operator_rebuilds()?,
        }
        Ok(())
    }

    /// A request to Redis gets no answer: because it never arrived, or after it was applied.
    fn lose_redis_answer(&mut self, applied: bool) -> Result<(), String> {
        self.choices.tell(|| format!("an answer of Redis is lost; the request was applied: {applied}"));
        let waiting = self.waiting();
        let Some(id) = self.choices.pick(&waiting).copied() else { return Ok(()) };
        if applied {
            self.redis.apply(id);
        }
        self.lose_answer(id);
        self.redis_changed()
    }

    /// A request whose sender has given up, or died, arrives; or only a part of it.
    fn apply_late(&mut self) -> Result<(), String> {
        let late = self.given_up();
        let Some(id) = self.choices.pick(&late).copied() else { return Ok(()) };
        if self.choices.chance(50) {
            self.redis.apply_next_command(id);
        } else {
            self.redis.apply(id);
        }
        self.redis_changed()
    }

    fn lose_desk_answer(&mut self) {
        let count = self.desk.jobs().len();
        if count == 0 {
            return;
        }
        let (at, what) = (self.choices.below(count), self.choices.below(3));
        let mut job = self.desk.jobs().remove(at);
        self.choices.tell(|| format!("an answer of Kafka or Postgres is lost, kind {what}"));
        if what == 0 {
            job.carry_out(&mut self.stores);
        }
        job.lose_answer();
        // It may arrive yet.
        if what == 1 {
            self.desk.jobs().push(job);
        }
    }

    fn kill(&mut self) {
        let process = self.choices.below(6);
        self.choices.tell(|| format!("process {process} is killed"));
        match process {
            process @ (0 | 1) => self.rankers[process] = Slot { process: None, stopped: false },
            process @ (2 | 3) => self.archivers[process - 2] = Slot { process: None, stopped: false },
            process => self.caches[process - 4] = Slot { process: None, stopped: false },
        }
        // The group may learn it only later.
        if self.choices.chance(50) {
            self.deal();
        }
    }

    fn stop_or_go_on(&mut self) {
        let process = self.choices.below(6);
        self.choices.tell(|| format!("process {process} stops, or goes on"));
        let stopped = match process {
            process @ (0 | 1) => &mut self.rankers[process].stopped,
            process @ (2 | 3) => &mut self.archivers[process - 2].stopped,
            process => &mut self.caches[process - 4].stopped,
        };
        *stopped = !*stopped;
        if self.choices.chance(50) {
            self.deal();
        }
    }

    fn start_dead(&mut self) {
        let process = self.choices.below(6);
        self.choices.tell(|| format!("process {process} starts, if it was dead"));
        match process {
            process @ (0 | 1) => self.start_ranker(process),
            process @ (2 | 3) => self.start_archiver(process - 2),
            process => self.start_cache(process - 4),
        }
        self.deal();
    }

    /// Redis restarts with less than it had: what it had some changes ago.
    fn redis_restarts(&mut self) -> Result<(), String> {
        self.choices.tell(|| "Redis restarts with less".to_owned());
        let back = self.choices.below(self.copies.len().min(8));
        let copy = self.copies[self.copies.len() - 1 - back].clone();
        self.redis_is_replaced(copy)
    }

    fn redis_is_emptied(&mut self) -> Result<(), String> {
        self.choices.tell(|| "Redis is emptied or replaced by an old copy".to_owned());
        let copy = if self.choices.chance(50) { Keyspace::default() } else { self.copies[0].clone() };
        self.redis_is_replaced(copy)
    }

    fn redis_is_replaced(&mut self, data: Keyspace) -> Result<(), String> {
        // Its connections are gone with it, and so is what was in them.
        for id in self.waiting() {
            self.lose_answer(id);
        }
        for id in self.given_up() {
            self.redis.discard(id);
        }
        self.redis.with_server(|server| server.restart(data));
        self.redis_changed()
    }

    /// Retention: only what is archived, so that nothing is lost for good, and what was ranked at
    /// some time, so that its poison is among the dead letters.
    fn log_loses_its_oldest(&mut self) {
        if self.boards.iter().any(|board| self.shown(&board.name).is_none()) {
            return;
        }
        let partition = scores(i32::try_from(self.choices.below(self.score_partitions())).expect("few"));
        let archived = self.stores.archive.offsets.get(&partition).copied().unwrap_or(0);
        let archived = archived.min(self.ranked.get(&partition).copied().unwrap_or(0));
        let kept = self
            .archive_copy
            .as_ref()
            .map_or(archived, |copy| copy.offsets.get(&partition).copied().unwrap_or(0).min(archived));
        let log = self.stores.log.partitions.get_mut(&partition).expect("it is there");
        let low = i64::try_from(self.choices.below(usize::try_from(kept).unwrap_or(0) + 1)).expect("few");
        log.low = log.low.max(low);
        self.choices.tell(|| format!("partition {} now begins at {low} or later", partition.number));
    }

    /// Postgres fails over to a copy that is some transactions behind; or such a copy is made.
    fn archive_comes_back_older(&mut self) {
        self.choices.tell(|| "a copy of the archive is made, or comes back".to_owned());
        match self.archive_copy.take() {
            Some(copy) => self.stores.archive = copy,
            None => self.archive_copy = Some(self.stores.archive.clone()),
        }
    }

    fn partition_is_added(&mut self) {
        self.choices.tell(|| "a partition is added".to_owned());
        if self.score_partitions() < 4 {
            let number = i32::try_from(self.score_partitions()).expect("few");
            self.stores.log.partitions.insert(scores(number), Default::default());
            self.deal();
        }
    }

    fn wall_clock_steps(&mut self) {
        self.choices.tell(|| "the wall clock steps".to_owned());
        let step = [1_000_000, -1_000_000, 3_600_000_000, -3_600_000_000][self.choices.below(4)];
        self.shared.now_micros.fetch_add(step, Ordering::Relaxed);
    }

    /// `boardctl rebuild --from kafka`, where the log reaches back to its beginning.
    fn operator_rebuilds(&mut self) -> Result<(), String> {
        self.choices.tell(|| "the operator rebuilds from the log".to_owned());
        let bounds = self.stores.log.bounds(2);
        if bounds.iter().any(|bounds| bounds.low != 0) {
            return Ok(());
        }
        let store = self.store();
        let log: Vec<_> = bounds
            .iter()
            .map(|bounds| board_store::Begin {
                field: recovery::rebuild::field(
                    ["game-score", "player-profile"][bounds.partition.topic],
                    bounds.partition.number,
                ),
                low: bounds.low,
                high: bounds.high,
            })
            .collect();
        let seen = self.shown(&self.boards.default_board().name);
        let seen = board_store::Seen { version: seen, ..Default::default() };
        let mut rebuild =
            Box::pin(
                async move { store.rebuild(&board_store::Source::Log, None, &seen, &log).await.map(drop) },
            );
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let others = self.waiting();
        // Twice: the first call may have to teach the script.
        for _ in 0..4 {
            if rebuild.as_mut().poll(&mut context).is_ready() {
                break;
            }
            for id in self.waiting().into_iter().filter(|id| !others.contains(id)) {
                self.redis.apply(id);
                self.redis.answer(id);
            }
        }
        self.redis_changed()
    }

    // --- Processes ---
}
