//! A real Apache Kafka of our own: one node, from Maven's artifacts.

use crate::checkout::Checkout;
use crate::infra::Server;
use crate::ports::Ports;
use crate::process::run;
use anyhow::Context as _;
use std::path::Path;
use std::process::Command;

const POM: &str = include_str!("../../../../deploy/kafka/pom.xml");
/// Small: it shares the machine with everything else.
const MEMORY: [&str; 3] = ["-Xms96m", "-Xmx320m", "-XX:+UseSerialGC"];

/// # Errors
/// When Kafka cannot be fetched or its storage not be formatted.
pub(crate) fn prepare(
    checkout: &Checkout,
    ports: &mut Ports,
    say: &mut dyn FnMut(&str),
) -> anyhow::Result<Server> {
    let jars = fetch(checkout, say)?;
    let home = checkout.local.join("kafka");
    std::fs::create_dir_all(&home)?;
    let (port, controller) = (ports.pick("kafka", Some(9092))?, ports.pick("kafka-controller", None)?);
    let settings = home.join("server.properties");
    std::fs::write(&settings, properties(&home.join("data"), port, controller))?;
    let java = |memory: &[&str]| {
        let mut command = Command::new("java");
        command.args(memory).arg("-cp").arg(format!("{}/*", jars.display()));
        command
    };
    if !home.join("data/meta.properties").exists() {
        let id = cluster_id()?;
        let mut format = java(&["-Xmx96m", "-XX:TieredStopAtLevel=1"]);
        format
            .args(["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", &id, "-c"])
            .arg(&settings);
        run(&mut format).context("formatting Kafka's storage")?;
    }
    let mut command = java(&MEMORY);
    command.args([
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.log.kafka.server=info",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "kafka.Kafka",
    ]);
    command.arg(settings);
    Ok(Server { name: "kafka", address: ([127, 0, 0, 1], port).into(), command })
}

/// Kafka's jars, fetched once for the checkout.
fn fetch(checkout: &Checkout, say: &mut dyn FnMut(&str)) -> anyhow::Result<std::path::PathBuf> {
    let jars = checkout.kafka_jars();
    // Written last, so that an interrupted fetch is begun again.
    let complete = jars.join("complete");
    if std::fs::read_to_string(&complete).is_ok_and(|pom| pom == POM) {
        return Ok(jars);
    }
    say("fetching Kafka (45 MB, once)");
    let _ = std::fs::remove_dir_all(&jars);
    std::fs::create_dir_all(&jars)?;
    std::fs::write(jars.join("pom.xml"), POM)?;
    let mut maven = Command::new("mvn");
    maven.current_dir(&jars).args(["-q", "-B", "dependency:copy-dependencies"]);
    maven.args(["-DincludeScope=runtime", "-DoutputDirectory=."]);
    run(&mut maven).context("fetching Kafka with Maven")?;
    std::fs::write(complete, POM)?;
    Ok(jars)
}

fn properties(data: &Path, port: u16, controller: u16) -> String {
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={}\n\
         auto.create.topics.enable=false\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=3\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         # Alone on the machine: nobody else is waited for.\n\
         group.initial.rebalance.delay.ms=0\n\
         group.min.session.timeout.ms=1000\n\
         # The default of 128 MB does not fit into a small heap.\n\
         log.cleaner.dedupe.buffer.size=4194304\n",
        data.display()
    )
}

/// A random cluster id: 16 bytes, in the URL-safe alphabet of base64.
fn cluster_id() -> anyhow::Result<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = [0u8; 22];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut random)?;
    // The last letter carries two bits; the first may not be a dash, which reads as an option.
    random[0] %= 62;
    random[21] = random[21] % 4 * 16;
    Ok(random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 64)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_ids_are_22_letters_and_differ() {
        let (a, b) = (cluster_id().unwrap(), cluster_id().unwrap());
        assert_eq!((a.len(), b.len()), (22, 22));
        assert_ne!(a, b);
        assert!(!a.starts_with('-'));
    }
}
