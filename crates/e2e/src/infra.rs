//! The servers that the tests share, and where the programs are.

use std::path::PathBuf;
use test_servers::variable;

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
    /// The servers, or `None` where there are none.
    ///
    /// # Panics
    /// As [`variable`].
    #[must_use]
    pub fn from_env() -> Option<Self> {
        let (kafka, postgres) = (variable("RANKSTREAM_TEST_KAFKA")?, variable("RANKSTREAM_TEST_POSTGRES")?);
        let given = std::env::var("RANKSTREAM_BIN_DIR").ok().filter(|folder| !folder.is_empty());
        let programs = given.map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/release"),
            PathBuf::from,
        );
        Some(Self { kafka, postgres, programs })
    }
}
