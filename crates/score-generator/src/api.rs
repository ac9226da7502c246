//! The controller's API, as any client has it.

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use service::Secret;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;
use ureq::http::header::RETRY_AFTER;

/// How long an answer may take; the API itself answers writes after 7 s at the latest.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How long a connection is kept while nothing is asked. The controller closes idle ones after 20 s.
const IDLE_LIMIT: Duration = Duration::from_secs(15);

/// Where the API is.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "API, for --target http, --backlog and --judge")]
pub struct ApiSettings {
    /// The controller's base URL; http:// only
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = base)]
    pub api: String,
    /// The secret of a key that may write; with --backlog one that may read will do
    #[arg(long, value_name = "KEY", env = "API_KEY", hide_env_values = true)]
    pub api_key: Option<Secret>,
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
    body: String,
}

impl Answer {
    /// The body, as far as it is what is looked for.
    #[must_use]
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.body).ok()
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
            .user_agent(concat!("score-generator/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        let authorization = settings.api_key.as_ref().map(|key| format!("Bearer {}", key.expose()));
        Self { agent, base: settings.api.clone(), authorization }
    }

    /// GETs `path`, which must be answered with 200.
    ///
    /// # Errors
    /// When it is not, or the answer is another than what is looked for.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let url = format!("{}{path}", self.base);
        let ask = || {
            let request = self.agent.get(&url);
            let request = match &self.authorization {
                Some(authorization) => request.header("authorization", authorization),
                None => request,
            };
            let answer = answer(request.call()?)?;
            anyhow::ensure!(answer.status == 200, "status {}: {}", answer.status, answer.body);
            Ok(serde_json::from_str(&answer.body)?)
        };
        ask().with_context(|| url.clone())
    }

    /// POSTs JSON to `path`.
    ///
    /// # Errors
    /// When there was no answer: then nobody knows what became of it.
    pub fn post(&self, path: &str, body: &[u8]) -> Result<Answer, ureq::Error> {
        let request = self.agent.post(format!("{}{path}", self.base)).content_type("application/json");
        let request = match &self.authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        };
        answer(request.send(body)?)
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
}
