//! Answers as the bytes that are sent, and those that many ask for, kept for a moment.

use crate::etag::IfNoneMatch;
use crate::problem::Problem;
use axum::http::{HeaderValue, Uri};
use axum::response::Response;
use bytes::Bytes;
use contracts::Version;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::Serialize;
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_64;

/// How long an answer is kept. Below the half second between two snapshots, so that whoever asks
/// sees what viewers see; long enough that a crowd's question is asked of Redis five times a second.
const KEPT: Duration = Duration::from_millis(200);
/// How much is kept, counted in bytes of answers and queries, and how many pages of ten that is.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
const USUAL_ANSWERS: usize = 12_000;
/// What an entry costs beside its bytes, roughly.
const ENTRY_BYTES: usize = 200;
/// Most answers fit without growing.
const USUAL_BYTES: usize = 1024;

/// An answer ready to be sent. Clones share the bytes.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    body: Bytes,
    tag: HeaderValue,
}

impl Prepared {
    /// `answer` about a board that stood at `version`. The tag is strong: the same bytes, and no
    /// others, have it. The version alone would not do, as nicknames change without it.
    pub(super) fn new(version: Version, answer: &impl Serialize) -> Self {
        let mut body = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(&mut body, answer).expect("answers are made of what JSON has");
        let tag = format!("\"{}-{}-{:016x}\"", version.epoch, version.version, xxh3_64(&body));
        let tag = HeaderValue::try_from(tag).expect("numbers and dashes are fit for a header");
        Self { body: body.into(), tag }
    }

    /// The response to a client that has what it says.
    pub(super) fn unless(self, has: &IfNoneMatch) -> Response {
        has.answer(self.tag, HeaderValue::from_static("application/json"), self.body)
    }
}

/// The whole of a question. Nothing is ever thrown away for being old: it is not found any more.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Question {
    /// Path and query as they were sent.
    target: Box<str>,
    /// What viewers had been shown.
    shown: Version,
    /// When it was asked, in units of [`KEPT`].
    moment: u128,
}

/// Counts bytes.
#[derive(Clone)]
struct Size;

impl Weighter<Question, Prepared> for Size {
    fn weight(&self, question: &Question, answer: &Prepared) -> u64 {
        let bytes = question.target.len() + answer.body.len() + ENTRY_BYTES;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// Answers that many ask for. Of those who ask the same at the same time one does the work.
pub(super) struct PreparedAnswers {
    begun: Instant,
    cache: Cache<Question, Prepared, Size>,
}

impl PreparedAnswers {
    pub(super) fn none_yet() -> Self {
        let cache = Cache::with_weighter(USUAL_ANSWERS, MAX_BYTES, Size);
        Self { begun: Instant::now(), cache }
    }

    /// The answer to the request for `uri`, made by `answer` unless it was made a moment ago.
    /// Problems are not kept.
    pub(super) async fn get(
        &self,
        uri: &Uri,
        shown: Version,
        answer: impl Future<Output = Result<Prepared, Problem>>,
    ) -> Result<Prepared, Problem> {
        let moment = self.begun.elapsed().as_millis() / KEPT.as_millis();
        self.get_at(moment, uri, shown, answer).await
    }

    async fn get_at(
        &self,
        moment: u128,
        uri: &Uri,
        shown: Version,
        answer: impl Future<Output = Result<Prepared, Problem>>,
    ) -> Result<Prepared, Problem> {
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        let question = Question { target: target.into(), shown, moment };
        self.cache.get_or_insert_async(&question, answer).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Kind;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tokio::join;

    const SHOWN: Version = Version { epoch: 1, version: 5 };

    async fn ask_at(
        moment: u128,
        answers: &PreparedAnswers,
        uri: &str,
        shown: Version,
        made: &AtomicU64,
    ) -> Bytes {
        let answer = async {
            let number = made.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(Prepared::new(shown, &number))
        };
        answers.get_at(moment, &uri.parse().unwrap(), shown, answer).await.unwrap().body
    }

    async fn ask(answers: &PreparedAnswers, uri: &str, shown: Version, made: &AtomicU64) -> Bytes {
        ask_at(7, answers, uri, shown, made).await
    }

    #[tokio::test]
    async fn one_of_many_does_the_work_and_each_question_has_its_own_answer() {
        let (answers, made) = (PreparedAnswers::none_yet(), AtomicU64::new(0));
        let (a, b) = join!(ask(&answers, "/a?x=1", SHOWN, &made), ask(&answers, "/a?x=1", SHOWN, &made));
        assert_eq!((a, b), (Bytes::from("0"), Bytes::from("0")));
        assert_eq!(ask(&answers, "/a?x=2", SHOWN, &made).await, "1");
        assert_eq!(ask(&answers, "/a?x=1", SHOWN, &made).await, "0");
    }

    #[tokio::test]
    async fn nothing_is_older_than_what_viewers_were_shown() {
        let (answers, made) = (PreparedAnswers::none_yet(), AtomicU64::new(0));
        assert_eq!(ask(&answers, "/a", SHOWN, &made).await, "0");
        let next = Version { version: 6, ..SHOWN };
        assert_eq!(ask(&answers, "/a", next, &made).await, "1");
    }

    #[tokio::test]
    async fn nothing_is_kept_for_longer_than_a_moment() {
        let (answers, made) = (PreparedAnswers::none_yet(), AtomicU64::new(0));
        assert_eq!(ask_at(1, &answers, "/a", SHOWN, &made).await, "0");
        assert_eq!(ask_at(2, &answers, "/a", SHOWN, &made).await, "1");
    }

    #[tokio::test]
    async fn problems_are_not_kept() {
        let (answers, made) = (PreparedAnswers::none_yet(), AtomicU64::new(0));
        let away = async { Err(Problem::new(Kind::BoardUnavailable, "away")) };
        assert!(answers.get_at(7, &"/a".parse().unwrap(), SHOWN, away).await.is_err());
        assert_eq!(ask(&answers, "/a", SHOWN, &made).await, "0");
    }

    #[tokio::test]
    async fn many_questions_take_no_more_memory_than_is_allowed() {
        let answers = PreparedAnswers::none_yet();
        let (kib, page) = ("x".repeat(1024), |number: u64| format!("/top?cursor={number}").parse().unwrap());
        let asked = 3 * MAX_BYTES / 1024;
        for number in 0..asked {
            let answer = async { Ok(Prepared::new(SHOWN, &kib)) };
            answers.get_at(7, &page(number), SHOWN, answer).await.unwrap();
        }
        let (kept, bytes) = (answers.cache.len() as u64, answers.cache.weight());
        assert!(bytes <= MAX_BYTES && kept <= MAX_BYTES / 1024, "{kept} answers, {bytes} bytes");
        assert!(bytes > MAX_BYTES / 2, "little is kept: {kept} answers, {bytes} bytes");
    }

    #[test]
    fn tag_says_the_version_and_differs_with_any_byte() {
        let tag = |answer: &str| Prepared::new(SHOWN, &answer).tag;
        assert!(tag("a").to_str().unwrap().starts_with("\"1-5-"));
        assert_eq!(tag("a"), tag("a"));
        assert_ne!(tag("a"), tag("b"));
    }
}
