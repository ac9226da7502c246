//! How the brokers are reached.

use contracts::topics::Topic;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use service::Secret;
use tracing::debug;

/// How the brokers are reached, by flag or environment.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Kafka")]
pub struct KafkaSettings {
    /// Bootstrap brokers, as host:port with commas between
    #[arg(long, env = "KAFKA_BROKERS", default_value = "127.0.0.1:9092")]
    pub kafka_brokers: String,
    /// What stands before the name of every topic
    #[arg(long, env = "TOPIC_PREFIX", default_value = "")]
    pub topic_prefix: String,
    /// plaintext, ssl, sasl_plaintext or sasl_ssl
    #[arg(long, env = "KAFKA_SECURITY_PROTOCOL", default_value = "plaintext")]
    pub kafka_security_protocol: String,
    /// PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
    #[arg(long, env = "KAFKA_SASL_MECHANISM")]
    pub kafka_sasl_mechanism: Option<String>,
    /// User of SASL
    #[arg(long, env = "KAFKA_SASL_USERNAME")]
    pub kafka_sasl_username: Option<String>,
    /// Password of SASL
    #[arg(long, env = "KAFKA_SASL_PASSWORD", hide_env_values = true)]
    pub kafka_sasl_password: Option<Secret>,
    /// File with the certificates of the authorities to trust; default: the system's
    #[arg(long, env = "KAFKA_SSL_CA_LOCATION")]
    pub kafka_ssl_ca_location: Option<String>,
    /// After how long without a heartbeat a consumer's partitions go to another
    #[arg(long, env = "KAFKA_SESSION_TIMEOUT_MS", default_value_t = 6000,
          value_parser = clap::value_parser!(u32).range(1000..=300_000))]
    pub kafka_session_timeout_ms: u32,
}

impl KafkaSettings {
    /// The name of `topic` on the brokers.
    #[must_use]
    pub fn topic(&self, topic: &Topic) -> String {
        topic.full_name(&self.topic_prefix)
    }

    pub(crate) fn client_config(&self, client_id: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.kafka_brokers)
            .set("security.protocol", &self.kafka_security_protocol)
            .set("client.id", client_id)
            // Back within a second of a broker's return, not ten.
            .set("reconnect.backoff.max.ms", "1000")
            .set("broker.address.family", "any")
            .set_log_level(RDKafkaLogLevel::Warning);
        let optional = [
            ("sasl.mechanism", self.kafka_sasl_mechanism.as_deref()),
            ("sasl.username", self.kafka_sasl_username.as_deref()),
            ("sasl.password", self.kafka_sasl_password.as_ref().map(Secret::expose)),
            ("ssl.ca.location", self.kafka_ssl_ca_location.as_deref()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                config.set(name, value);
            }
        }
        config
    }

    /// What every consumer here has in common: we alone decide where to start.
    pub(crate) fn consumer_config(&self, client_id: &str) -> ClientConfig {
        let mut config = self.client_config(client_id);
        config
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            // A partition that is added is read after at most so long, not after five minutes.
            .set("topic.metadata.refresh.interval.ms", "10000")
            // The default of a second stalls a reader that is faster than its prefetch; at 5 ms
            // one partition was measured to give three times the messages.
            .set("fetch.queue.backoff.ms", "5")
            .set("queued.max.messages.kbytes", "32768");
        config
    }
}

/// The client goes on by itself after nearly every error, and repeats itself while a broker is
/// away: a person learns that from readiness, which says it once.
pub(crate) fn log_client_error(error: &KafkaError, reason: &str) {
    debug!(reason, "{error}");
}

/// What the client logs by itself, for those who look for it.
pub(crate) fn log_client_line(facility: &str, message: &str) {
    debug!(facility, "{message}");
}
