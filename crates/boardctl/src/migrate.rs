//! `boardctl migrate`

use crate::output::Output;
use crate::settings::PostgresSettings;
use anyhow::Context as _;
use serde_json::json;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    postgres: PostgresSettings,
}

pub(crate) async fn run(command: &Migrate, output: Output) -> anyhow::Result<ExitCode> {
    command.postgres.archive()?.migrate().await.context("POSTGRES_URL")?;
    output.answer(&json!({ "migrated": true }), |_| "the archive is up to date".to_owned());
    Ok(ExitCode::SUCCESS)
}
