//! Keys of the HTTP API.

use crate::output::{Misuse, Output};
use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use contracts::ApiKey as Key;
use contracts::api_key::{Role, SecretDigest};
use rand::TryRng as _;
use rand::rngs::SysRng;
use serde::Serialize;
use std::process::ExitCode;

/// What begins every secret, so that those who look for secrets in the wrong places find ours.
const PREFIX: &str = "rankstream_";
const SECRET_BYTES: usize = 32;

/// The keys of the HTTP API
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ApiKey {
    /// Makes a key: prints its secret, which stands nowhere else, and its line for API_KEYS_FILE
    New(New),
}

/// A key to be made.
#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// Who will use it; the same name again for a new secret beside the old one
    name: String,
    /// What it may do: read, write or admin; each includes those before
    #[arg(long)]
    role: Role,
}

#[derive(Serialize)]
struct Answer {
    secret: String,
    line: String,
}

pub(crate) fn run(ApiKey::New(New { name, role }): ApiKey, output: Output) -> anyhow::Result<ExitCode> {
    let mut random = [0; SECRET_BYTES];
    SysRng.try_fill_bytes(&mut random).context("the system has no randomness")?;
    let secret = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random));
    let key = Key::new(&name, role, SecretDigest::of(secret.as_bytes())).map_err(Misuse)?;
    let answer = Answer { secret, line: key.to_string() };
    output.answer(&answer, |Answer { secret, line }| {
        format!(
            "The secret, which is not kept anywhere: give it to whoever is to use it.\n\n  {secret}\n\n\
             The line for the file that API_KEYS_FILE names:\n\n  {line}"
        )
    });
    Ok(ExitCode::SUCCESS)
}
