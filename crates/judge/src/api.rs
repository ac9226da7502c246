//! What the API says of a board.

use crate::compare::{Answer, Rows};
use anyhow::Context as _;
use api_client::{Api, ApiSettings};
use boards::RankMode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::time::Duration;

/// The most players that may be asked for at once.
pub const MAX_IDS: usize = 100;
/// The most rows of a page.
pub const MAX_ROWS: usize = 100;
/// How often a question is asked again that was answered with "later".
const TRIES: u32 = 20;
/// How long "later" is at least and at most, whatever the answer says.
const LATER: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A board, by its controller.
pub struct BoardApi {
    api: Api,
    /// Of the board.
    path: String,
}

#[derive(Deserialize)]
struct Problem {
    r#type: String,
    #[serde(default)]
    detail: String,
}

impl BoardApi {
    /// The board of that name.
    #[must_use]
    pub fn new(settings: &ApiSettings, board: &str) -> Self {
        Self { api: Api::new(settings, 1), path: format!("/v1/boards/{}", encoded(board)) }
    }

    /// The first `limit` rows of the window of that id, or of the usual one.
    ///
    /// # Errors
    /// When the controller does not answer, or says that it cannot.
    pub fn top(&self, mode: RankMode, limit: usize, window: Option<&str>) -> anyhow::Result<Answer> {
        let window = window.map(|id| format!("&window={}", encoded(id))).unwrap_or_default();
        self.rows(&format!("/top?limit={limit}&rank={}{window}", mode.as_str()))
    }

    /// Where these players stand.
    ///
    /// # Errors
    /// As [`top`](Self::top).
    pub fn players(&self, mode: RankMode, ids: &[&str], window: &str) -> anyhow::Result<Answer> {
        let ids: Vec<String> = ids.iter().map(|id| encoded(id)).collect();
        let (ids, mode, window) = (ids.join(","), mode.as_str(), encoded(window));
        self.rows(&format!("/players?ids={ids}&rank={mode}&window={window}"))
    }

    /// The `size` rows around a player.
    ///
    /// # Errors
    /// As [`top`](Self::top).
    pub fn around(&self, mode: RankMode, player: &str, size: usize, window: &str) -> anyhow::Result<Answer> {
        let (id, mode, window) = (encoded(player), mode.as_str(), encoded(window));
        self.rows(&format!("/players/{id}/around?size={size}&rank={mode}&window={window}"))
    }

    fn rows(&self, path: &str) -> anyhow::Result<Answer> {
        let path = format!("{}{path}", self.path);
        for _ in 0..TRIES {
            let answer = self.api.ask(&path)?;
            let not_understood =
                || format!("{path}: {} with what is not understood: {:.200}", answer.status, answer.body);
            match answer.status {
                200 => return Ok(Answer::Rows(answer.read::<Rows>().with_context(not_understood)?)),
                429 | 503 => {
                    std::thread::sleep(answer.retry_after.unwrap_or_default().clamp(LATER.0, LATER.1));
                }
                status => {
                    let Problem { r#type, detail } = answer.read().with_context(not_understood)?;
                    match r#type.as_str() {
                        "/problems/rank-unknown" => return Ok(Answer::RankUnknown),
                        "/problems/unknown-player" => return Ok(Answer::UnknownPlayer),
                        _ => anyhow::bail!("{path}: {status} {type} {detail}"),
                    }
                }
            }
        }
        anyhow::bail!("{path}: the controller said \"later\" {TRIES} times")
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    /// A controller that gives these answers, one a connection, and tells what was asked for.
    fn controller(answers: &'static [&'static str]) -> (BoardApi, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut socket, _) = listener.accept().unwrap();
                let mut request = vec![0; 8192];
                let read = socket.read(&mut request).unwrap();
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                assert!(request.contains("authorization: Bearer s3cret\r\n"), "{request}");
                asked.push(request.lines().next().unwrap().to_owned());
                let (head, body) = answer.split_once('|').unwrap();
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
                socket.write_all(answer.as_bytes()).unwrap();
            }
            asked
        });
        let settings = ApiSettings { api_key: Some("s3cret".parse().unwrap()), ..ApiSettings::open(&url) };
        (BoardApi::new(&settings, "a board"), thread)
    }

    #[test]
    fn answers_are_told_apart_and_later_is_tried_again() {
        let (api, thread) = controller(&[
            "429 Too Many\r\nRetry-After: 0|{}",
            r#"200 OK|{"board":"b","window":"all","epoch":1,"version":2,"players":3,"entries":[{"rank":1,"score":2.5,"user_id":"a,b","nickname":"n","percentile":1.0}],"not_found":["x"]}"#,
            r#"422 No|{"type":"/problems/rank-unknown","title":"t","status":422}"#,
            r#"404 No|{"type":"/problems/unknown-player"}"#,
            r#"404 No|{"type":"/problems/unknown-board"}"#,
            "500 Oh|what",
        ]);
        let Answer::Rows(rows) = api.players(RankMode::Dense, &["a,b", "x"], "all").unwrap() else {
            panic!()
        };
        assert_eq!((rows.players, rows.entries.len(), &*rows.not_found), (3, 1, &["x".to_owned()][..]));
        assert_eq!(api.around(RankMode::Ordinal, "ü", 5, "2026-10-25T02+0200").unwrap(), Answer::RankUnknown);
        assert_eq!(api.top(RankMode::Ordinal, 9, None).unwrap(), Answer::UnknownPlayer);
        let error = api.top(RankMode::Ordinal, 9, Some("all")).unwrap_err().to_string();
        assert!(error.contains("/problems/unknown-board"), "{error}");
        let error = api.top(RankMode::Ordinal, 9, Some("all")).unwrap_err().to_string();
        assert!(error.contains("500") && error.contains("what"), "{error}");
        let asked = thread.join().unwrap();
        assert_eq!(asked[1], "GET /v1/boards/a%20board/players?ids=a%2Cb,x&rank=dense&window=all HTTP/1.1");
        assert_eq!(
            asked[2],
            "GET /v1/boards/a%20board/players/%C3%BC/around?size=5&rank=ordinal&window=2026%2D10%2D25T02%2B0200 HTTP/1.1"
        );
    }
}
