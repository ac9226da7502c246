//! The controller's API, as any client has it: where it is, with which key, over kept connections.
//!
//! What this crate must not know: what is asked for. Who asks knows the paths and reads the answers.

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use service::Secret;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;
use ureq::http::header::{AUTHORIZATION, RETRY_AFTER};

/// How long an answer may take; the API itself answers writes after 7 s at the latest.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How long a connection is kept while nothing is asked. The controller closes idle ones after 20 s.
const IDLE_LIMIT: Duration = Duration::from_secs(15);

/// Where the API is, and who asks.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "API, for --target http, --backlog and --judge")]
pub struct ApiSettings {
    /// The controller's base URL; http:// only
    #[arg(long, value_name = "URL", env = "API_URL", default_value = "http://127.0.0.1:8080", value_parser = base)]
    pub api: String,
    /// The secret of a key that may write; with --backlog and --judge one that may read will do
    #[arg(long, value_name = "KEY", env = "API_KEY", hide_env_values = true)]
    pub api_key: Option<Secret>,
}

impl ApiSettings {
    /// The API at this base URL, which begins with `http://`, asked without a key.
    #[must_use]
    pub fn open(url: &str) -> Self {
        Self { api: url.trim_end_matches('/').to_owned(), api_key: None }
    }

    /// The value of the header `Authorization`, where there is a key.
    #[must_use]
    pub fn authorization(&self) -> Option<String> {
        self.api_key.as_ref().map(|key| format!("Bearer {}", key.expose()))
    }

    /// The URL of a websocket at `path`.
    #[must_use]
    pub fn websocket_url(&self, path: &str) -> String {
        format!("{}{path}", self.api.replacen("http", "ws", 1))
    }
}

fn base(text: &str) -> Result<String, &'static str> {
    let text = text.trim_end_matches('/');
    match text.strip_prefix("http://") {
        Some(host) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err("must begin with http://"),
    }
}

/// What the API said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The whole body.
    pub body: String,
}

impl Answer {
    /// The body as what is looked for.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(&self.body)
    }
}

/// Asks the API, over connections that are kept alive.
#[derive(Clone, Debug)]
pub struct Api {
    agent: Agent,
    base: String,
    authorization: Option<String>,
}

impl Api {
    /// Asks over at most `connections` at a time, where as many threads ask.
    #[must_use]
    pub fn new(settings: &ApiSettings, connections: usize) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER_LIMIT))
            .max_idle_connections(connections)
            .max_idle_connections_per_host(connections)
            .max_idle_age(IDLE_LIMIT)
            .user_agent(concat!("rankstream/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Self { agent, base: settings.api.clone(), authorization: settings.authorization() }
    }

    /// What GETting `path` is answered with, whatever the status.
    ///
    /// # Errors
    /// When there was no answer.
    pub fn ask(&self, path: &str) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.base);
        let request = self.agent.get(&url);
        let response = self.authorized(request).call();
        response.and_then(answer).context(url)
    }

    /// GETs `path`, which must be answered with 200.
    ///
    /// # Errors
    /// When it is not, or the answer is another than what is looked for.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let answer = self.ask(path)?;
        let url = || format!("{}{path}", self.base);
        anyhow::ensure!(answer.status == 200, "{}: status {}: {}", url(), answer.status, answer.body);
        answer.read().with_context(url)
    }

    /// POSTs JSON to `path`.
    ///
    /// # Errors
    /// When there was no answer: then nobody knows what became of it.
    pub fn post(&self, path: &str, body: &[u8]) -> Result<Answer, ureq::Error> {
        let request = self.agent.post(format!("{}{path}", self.base)).content_type("application/json");
        answer(self.authorized(request).send(body)?)
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        }
    }
}

/// Reads the whole answer, so that its connection is free for the next.
fn answer(mut response: Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(Answer {
        status: response.status().as_u16(),
        retry_after: seconds.map(Duration::from_secs),
        body: response.body_mut().read_to_string()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_is_a_url_without_its_last_slash() {
        assert_eq!(base("http://127.0.0.1:8080/"), Ok("http://127.0.0.1:8080".into()));
        for wrong in ["127.0.0.1:8080", "https://example.org", "http://", ""] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn websockets_are_where_the_api_is() {
        let settings = ApiSettings::open("http://http.example:80/");
        assert_eq!(settings.websocket_url("/live"), "ws://http.example:80/live");
        assert_eq!(settings.authorization(), None);
    }
}
