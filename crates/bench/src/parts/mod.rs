//! What is measured.

mod api;
mod archiving;
mod backlog;
mod latency;
mod producing;
mod ranking;
mod rebuild;
mod reference;
mod rest;
mod streams;
mod viewers;

use crate::Bench;
use crate::figure::Figure;

/// A part of the figures, in the order in which they are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Events into Kafka, beside a bare producer
    Producing,
    /// A backlog into Redis, beside plain increments and a bare consumer
    Ranking,
    /// A backlog into Postgres, beside a bare COPY and a commit for each row
    Archiving,
    /// A backlog ranked and archived at the same time
    Backlog,
    /// The same ranking by Kafka Streams, exactly once
    Streams,
    /// From an event to the frame that shows it
    Latency,
    /// A frame to two thousand viewers, beside a plain broadcast
    Viewers,
    /// The services when nothing happens
    Rest,
    /// A board from the archive
    Rebuild,
    /// The API, beside the server that one would write first
    Api,
}

/// Measures a part.
///
/// # Errors
/// When something cannot be started, or does not answer as it should.
pub async fn measure(bench: &Bench, part: Part) -> anyhow::Result<Vec<Figure>> {
    match part {
        Part::Producing => Ok(vec![producing::measure(bench).await?]),
        Part::Ranking => ranking::measure(bench).await,
        Part::Archiving => Ok(vec![archiving::measure(bench).await?]),
        Part::Backlog => backlog::measure(bench).await,
        Part::Streams => Ok(vec![streams::measure(bench).await?]),
        Part::Latency => latency::measure(bench).await,
        Part::Viewers => Ok(vec![viewers::measure(bench).await?]),
        Part::Rest => Ok(vec![rest::measure(bench).await?]),
        Part::Rebuild => Ok(vec![rebuild::measure(bench).await?]),
        Part::Api => api::measure(bench).await,
    }
}
