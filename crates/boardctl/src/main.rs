//! The operator's tool: makes the topics, migrates the archive, verifies.

mod verify;

use anyhow::Context as _;
use archive_store::ArchiveStore;
use clap::Parser;
use contracts::topics::TOPICS;
use pipeline::KafkaSettings;
use pipeline::admin::{Made, create_topics};
use service::Secret;
use std::io::Write as _;
use std::process::ExitCode;

/// The operator's tool
#[derive(Debug, Parser)]
#[command(name = "boardctl", version)]
enum Command {
    /// The topics of the deployment
    #[command(subcommand)]
    Topics(Topics),
    /// Brings the archive's tables and views up to date
    Migrate {
        /// postgres://user:password@host:port/database
        #[arg(long, env = "POSTGRES_URL", hide_env_values = true)]
        postgres_url: Secret,
    },
    /// Holds log, board and archive against each other, record by record and player by player,
    /// while traffic flows. Exit code: 0 right, 1 differences, 2 something could not be compared
    Verify(verify::Settings),
}

#[derive(Debug, clap::Subcommand)]
enum Topics {
    /// Makes those that are not there; leaves the others as they are
    Create {
        /// How many copies each partition has; 3 in production
        #[arg(long, env = "KAFKA_REPLICATION", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=9))]
        replication: i32,
        #[command(flatten)]
        kafka: KafkaSettings,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if let Err(error) = dotenvy::dotenv()
        && !error.not_found()
    {
        eprintln!("boardctl: .env: {error}");
        return ExitCode::FAILURE;
    }
    match obey(Command::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("boardctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn obey(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Topics(Topics::Create { replication, kafka }) => {
            let made = create_topics(&kafka, &TOPICS, replication)
                .await
                .with_context(|| format!("KAFKA_BROKERS {}", kafka.kafka_brokers))?;
            for (name, made) in made {
                let what = match made {
                    Made::Created => "created",
                    Made::AlreadyThere => "already there",
                };
                say(&format!("{name}: {what}"));
            }
        }
        Command::Migrate { postgres_url } => {
            let store = ArchiveStore::new(&postgres_url, Vec::new()).context("POSTGRES_URL")?;
            store.migrate().await?;
            say("the archive is up to date");
        }
        Command::Verify(settings) => return Ok(verify::obey(settings).await),
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells a person, who may have stopped listening.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
