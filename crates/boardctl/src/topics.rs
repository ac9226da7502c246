//! `boardctl topics`

use crate::output::Output;
use anyhow::Context as _;
use contracts::topics::TOPICS;
use pipeline::KafkaSettings;
use pipeline::admin::{Made, create_topics};
use serde::Serialize;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Topics {
    /// Makes those that are not there; leaves the others as they are
    Create {
        /// How many copies each partition has; 3 in production
        #[arg(long, env = "KAFKA_REPLICATION", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=9))]
        replication: i32,
        #[command(flatten)]
        kafka: KafkaSettings,
    },
}

#[derive(Serialize)]
struct Answer {
    topic: String,
    created: bool,
}

pub(crate) async fn run(command: Topics, output: Output) -> anyhow::Result<ExitCode> {
    let Topics::Create { replication, kafka } = command;
    let made = create_topics(&kafka, &TOPICS, replication)
        .await
        .with_context(|| format!("KAFKA_BROKERS {}", kafka.kafka_brokers))?;
    let answers: Vec<Answer> =
        made.into_iter().map(|(topic, made)| Answer { topic, created: made == Made::Created }).collect();
    output.answer(&answers, |answers| {
        let line = |answer: &Answer| {
            let what = if answer.created { "created" } else { "already there" };
            format!("{}: {what}", answer.topic)
        };
        answers.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    Ok(ExitCode::SUCCESS)
}
