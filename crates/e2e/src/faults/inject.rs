//! Making a fault happen.

use crate::faults::deployment::Deployment;
use crate::faults::fault::{Fault, Server};
use crate::faults::sources::Sources;
use crate::faults::truth::log_ends;
use anyhow::Context as _;
use contracts::topics::GAME_SCORE;
use sqlx::{Connection as _, PgConnection};
use std::time::Duration;
use tokio::time::Instant;

/// How long a server may take to do what a fault consists of.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(250);

/// Makes `fault` happen and returns when it is over, with what there is to say about it.
///
/// # Errors
/// When it could not be made to happen.
pub(crate) async fn inject(
    deployment: &Deployment,
    sources: &Sources,
    fault: Fault,
) -> anyhow::Result<String> {
    let servers = &deployment.servers;
    match fault {
        Fault::Kill(instance, pause) => deployment.kill(instance, pause).await?,
        Fault::Freeze(instance, time) => deployment.freeze(instance, time).await,
        Fault::Restart(instance) => {
            return Ok(match deployment.restart(instance).await? {
                Some(status) if status.success() => String::new(),
                Some(status) => format!("ended with {status}"),
                None => "did not end and was killed".to_owned(),
            });
        }
        Fault::StepClock(instance, millis) => deployment.set_clock(instance, millis)?,
        Fault::Cut(link) => servers.proxy(link).cut(),
        Fault::Close(link, time) => servers.proxy(link).close(time).await,
        Fault::Delay(link, by, time) => servers.proxy(link).delay(by, time).await,
        Fault::LoseReplies(link, time) => servers.proxy(link).lose_replies(time).await,
        Fault::KillKafka(pause) => servers.kill(Server::Kafka, pause).await?,
        Fault::AddPartition => return patiently(|| add_partition(deployment, sources)).await,
        Fault::KillRedis(pause) => servers.kill(Server::Redis, pause).await?,
        Fault::CutRedis(permille) => {
            return Ok(format!("{} bytes lost", servers.cut_redis(permille).await?));
        }
        Fault::OldRedis(age) => servers.replace_redis_by_a_copy(age).await?,
        Fault::FlushRedis => patiently(|| redis_commands(deployment, &[&["FLUSHALL"]])).await?,
        Fault::FlushScripts => {
            let commands: [&[&str]; 2] = [&["SCRIPT", "FLUSH"], &["FUNCTION", "FLUSH"]];
            patiently(|| redis_commands(deployment, &commands)).await?;
        }
        Fault::CutRedisClients => {
            let commands: [&[&str]; 1] = [&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]];
            patiently(|| redis_commands(deployment, &commands)).await?;
        }
        Fault::StopPostgres(pause) => servers.kill(Server::Postgres, pause).await?,
        Fault::CutPostgresClients => {
            // Not those of the harness, which goes on counting.
            let statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                             WHERE application_name = 'rankstream' AND datname = current_database()";
            patiently(|| async { Ok(sqlx::query(statement).execute(&deployment.postgres).await?) }).await?;
        }
        Fault::LockOffsets(time) => lock_offsets(deployment, time).await?,
    }
    Ok(String::new())
}

/// Asks again until it is done: the server may just be coming back from another fault.
async fn patiently<T, F: Future<Output = anyhow::Result<T>>>(work: impl Fn() -> F) -> anyhow::Result<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let done = tokio::time::timeout_at(deadline, work()).await;
        match done.context("a server does not do what it is told")? {
            Err(error) if Instant::now() + PAUSE < deadline => {
                eprintln!("           tried again: {error:#}");
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

async fn redis_commands(deployment: &Deployment, commands: &[&[&str]]) -> anyhow::Result<()> {
    let client = redis::Client::open(&*deployment.servers.direct.redis)?;
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(LIMIT));
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    for command in commands {
        redis::cmd(command[0]).arg(&command[1..]).query_async::<redis::Value>(&mut connection).await?;
    }
    Ok(())
}

async fn add_partition(deployment: &Deployment, sources: &Sources) -> anyhow::Result<String> {
    let total = log_ends(&deployment.kafka).await?.len() + 1;
    pipeline::admin::add_partitions(&deployment.kafka, &GAME_SCORE, total).await?;
    sources.renew_half();
    Ok(format!("{total} by now"))
}

async fn lock_offsets(deployment: &Deployment, time: Duration) -> anyhow::Result<()> {
    let options = deployment.postgres.connect_options();
    let mut connection = patiently(|| async { Ok(PgConnection::connect_with(&options).await?) }).await?;
    let mut transaction = connection.begin().await?;
    let lock = sqlx::query("SELECT 1 FROM leaderboard.consumer_offset FOR UPDATE");
    tokio::time::timeout(LIMIT, lock.execute(&mut *transaction)).await.context("the rows stay locked")??;
    tokio::time::sleep(time).await;
    transaction.rollback().await?;
    connection.close().await?;
    Ok(())
}
