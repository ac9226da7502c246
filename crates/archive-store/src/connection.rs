//! Connections, and what their errors mean.

use anyhow::Context as _;
use pipeline::WriteError;
use service::Secret;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use std::str::FromStr as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How many idle connections are kept: there is at most one write at a time, and few read final
/// standings at once.
const MAX_IDLE: usize = 2;

/// What the server is told about each session that is kept. A writer that was stopped in the
/// middle holds the fence's rows: these limits say for how long at most. They travel with the
/// connection's start; a pooler in between must pass them on.
const SESSION: [(&str, &str); 8] = [
    ("lock_timeout", "5s"),
    ("statement_timeout", "30s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("tcp_keepalives_idle", "10s"),
    ("tcp_keepalives_interval", "5s"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30s"),
    ("client_min_messages", "warning"),
];

/// Why something did not work, on its way to a [`WriteError`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Fenced(String),
    #[error("{0}")]
    Impossible(String),
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
}

/// Keeps the connections that are idle. One that failed is dropped: what it still has in flight is
/// unknown.
pub(crate) struct Connections {
    options: PgConnectOptions,
    idle: Mutex<Vec<PgConnection>>,
}

impl Connections {
    /// Nothing is connected yet.
    pub(crate) fn new(url: &Secret) -> anyhow::Result<Self> {
        let options = PgConnectOptions::from_str(url.expose())
            .context("the URL of Postgres")?
            .application_name("rankstream")
            .disable_statement_logging();
        Ok(Self { options, idle: Mutex::default() })
    }

    /// A connection that was kept, or a new one.
    pub(crate) async fn take(&self) -> Result<PgConnection, Failure> {
        match self.kept() {
            Some(connection) => Ok(connection),
            None => self.new_session().await,
        }
    }

    /// The same for those who are not tried again at once: what was kept must answer first, since
    /// the server may have been restarted meanwhile.
    pub(crate) async fn take_alive(&self) -> Result<PgConnection, Failure> {
        while let Some(mut connection) = self.kept() {
            if connection.ping().await.is_ok() {
                return Ok(connection);
            }
        }
        self.new_session().await
    }

    /// Keeps a connection after everything on it went well.
    pub(crate) fn keep(&self, connection: PgConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    fn kept(&self) -> Option<PgConnection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn new_session(&self) -> Result<PgConnection, Failure> {
        connect(&self.options.clone().options(SESSION)).await
    }

    /// A connection of its own, without the limits of a session, for what may take long: migrations,
    /// reading or erasing in the whole archive, keeping final standings. Whoever takes it has a limit.
    pub(crate) async fn patient(&self) -> Result<PgConnection, Failure> {
        connect(&self.options.clone().options([("client_min_messages", "warning")])).await
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Failure> {
    let silence = || {
        let text = format!("no connection within {CONNECT_LIMIT:?}");
        sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, text))
    };
    let connected = tokio::time::timeout(CONNECT_LIMIT, PgConnection::connect_with(options)).await;
    Ok(connected.unwrap_or_else(|_| Err(silence()))?)
}

/// The outcome of `work`, unless it takes longer than `limit`: a server that went silent says
/// nothing by itself.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, WriteError> {
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => outcome.map_err(write_error),
        Err(_) => Err(WriteError::Unavailable(anyhow::anyhow!("Postgres did not answer for {limit:?}"))),
    }
}

/// What a failure means to the runner.
pub(crate) fn write_error(failure: Failure) -> WriteError {
    let error = match failure {
        Failure::Fenced(why) => return WriteError::Fenced(why),
        Failure::Impossible(why) => return WriteError::Impossible(why),
        Failure::Postgres(error) => error,
    };
    let Some(database) = error.as_database_error() else {
        return match error {
            sqlx::Error::Configuration(_) => WriteError::Impossible(format!("Postgres: {error}")),
            // The text of these has that of their causes in it.
            _ => WriteError::Unavailable(anyhow::Error::msg(error.to_string())),
        };
    };
    let code = database.code().unwrap_or_default();
    let message = format!("Postgres: {} ({code})", database.message());
    match &*code {
        "23505" => WriteError::Impossible(format!(
            "the archive has rows beyond its own offsets: the offsets were edited, or the topic was made anew; \
             {message}"
        )),
        code if passes(code) => WriteError::Unavailable(anyhow::Error::msg(message)),
        _ => WriteError::Impossible(message),
    }
}

/// Whether an error of this SQLSTATE passes without a person: by waiting, by connecting anew, or
/// by making the missing partition.
fn passes(code: &str) -> bool {
    let class = &code[..2.min(code.len())];
    matches!(class, "08" | "40" | "53" | "57" | "58")
        || matches!(
            code,
            // A partition that is not there; a lock that was not had in time; a transaction that
            // idled; a standby that is not promoted yet.
            "23514" | "55P03" | "25P03" | "25P04" | "25006"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_by_itself_is_waited_for() {
        for code in ["08006", "40001", "40P01", "53100", "53300", "57014", "57P01", "57P03", "55P03", "23514"]
        {
            assert!(passes(code), "{code}");
        }
        for code in ["23505", "28P01", "3D000", "42P01", "42501", "22021", ""] {
            assert!(!passes(code), "{code}");
        }
    }

    #[test]
    fn a_password_does_not_get_into_the_error() {
        for url in ["postgres://u:hunter2@host:notaport/db", "postgres//u:hunter2@host", "hunter2"] {
            let error = Connections::new(&url.parse().unwrap()).err().unwrap();
            assert!(!format!("{error:#}{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
