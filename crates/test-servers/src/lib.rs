//! Which servers the tests may use, told by the environment (`cargo xtask test` starts them), and
//! servers of a test's own.

mod own_redis;

pub use own_redis::OwnRedis;

/// What the variable says, such as the URL of a server; `None` where it is not set: said aloud.
///
/// # Panics
/// When it is not set although `RANKSTREAM_TEST_REQUIRED` is.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    let said = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let value = said(name);
    if value.is_none() {
        assert!(said("RANKSTREAM_TEST_REQUIRED").is_none(), "{name} is not set, but required");
        eprintln!("SKIPPED: {name} is not set");
    }
    value
}

/// The URL of a Redis.
///
/// # Panics
/// As [`variable`].
#[must_use]
pub fn redis() -> Option<String> {
    variable("RANKSTREAM_TEST_REDIS")
}
