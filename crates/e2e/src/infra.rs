//! The servers that the tests share, and where the programs are.

use std::net::TcpListener;
use std::path::PathBuf;

/// The servers that the tests share, told by the environment (`cargo xtask test` starts them).
#[derive(Clone, Debug)]
pub struct Infra {
    /// Kafka, as host:port.
    pub kafka: String,
    /// A Postgres URL of a role that may create databases.
    pub postgres: String,
    /// Where the built programs are.
    pub programs: PathBuf,
}

impl Infra {
    /// The servers, or `None` where there are none: said aloud, and a failure where they are
    /// required.
    ///
    /// # Panics
    /// When `RANKSTREAM_TEST_REQUIRED` is set and a server is not.
    #[must_use]
    pub fn from_env() -> Option<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (kafka, postgres) = (variable("RANKSTREAM_TEST_KAFKA"), variable("RANKSTREAM_TEST_POSTGRES"));
        let (Some(kafka), Some(postgres)) = (kafka, postgres) else {
            assert!(
                variable("RANKSTREAM_TEST_REQUIRED").is_none(),
                "RANKSTREAM_TEST_KAFKA and RANKSTREAM_TEST_POSTGRES are not set, but required"
            );
            eprintln!("SKIPPED: RANKSTREAM_TEST_KAFKA and RANKSTREAM_TEST_POSTGRES are not set");
            return None;
        };
        let programs = variable("RANKSTREAM_BIN_DIR").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/release"),
            PathBuf::from,
        );
        Some(Self { kafka, postgres, programs })
    }
}

/// A port that was free a moment ago.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
