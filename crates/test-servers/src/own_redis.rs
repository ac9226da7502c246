//! A Redis of a test's own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const START_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// A `redis-server` that is ended with its test, and its data with it.
#[derive(Debug)]
pub struct OwnRedis {
    arguments: Vec<String>,
    folder: PathBuf,
    port: u16,
    process: Child,
}

impl OwnRedis {
    /// Starts it with these arguments, keeping nothing by default; returns when it can be reached.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        let port = free_ports::kept();
        let folder = std::env::temp_dir().join(format!("rankstream-redis-{}-{port}", std::process::id()));
        // What a test left that was killed.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let process = spawn(&arguments, &folder, port);
        let mut server = Self { arguments, folder, port, process };
        server.await_start();
        server
    }

    /// Where it is reached.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id; another one after a restart.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where its data is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// SIGKILL, and gone when this returns.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        self.process.wait().expect("a child can be waited for");
    }

    /// Starts it again on its data, once it was killed.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.process = spawn(&self.arguments, &self.folder, self.port);
        self.await_start();
    }

    /// How often clients called the command.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn calls(&self, command: &str) -> u64 {
        self.stat(command, "calls=")
    }

    /// How long it took to carry them out, in microseconds.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn micros(&self, command: &str) -> u64 {
        self.stat(command, "usec=")
    }

    fn stat(&self, command: &str, field: &str) -> u64 {
        let stats = self.info("commandstats");
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
        let value = line.and_then(|line| line.split(',').find_map(|part| part.strip_prefix(field)));
        value.map_or(0, number)
    }

    /// How often something was read from a client: commands that came together count once.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn reads(&self) -> u64 {
        let stats = self.info("stats");
        number(stats.lines().find_map(|line| line.strip_prefix("total_reads_processed:")).unwrap_or_default())
    }

    fn info(&self, section: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("Redis");
        stream.write_all(format!("INFO {section}\r\n").as_bytes()).expect("Redis");
        let (mut reader, mut size) = (BufReader::new(stream), String::new());
        reader.read_line(&mut size).expect("Redis");
        let mut text = vec![0; size.trim().trim_start_matches('$').parse().expect("a size")];
        reader.read_exact(&mut text).expect("Redis");
        String::from_utf8(text).expect("text")
    }

    fn await_start(&mut self) {
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(begun.elapsed() < START_LIMIT, "redis-server did not start");
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn spawn(arguments: &[String], folder: &Path, port: u16) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]).args(arguments);
    command.arg("--port").arg(port.to_string()).arg("--dir").arg(folder);
    command.stdout(Stdio::null()).spawn().expect("redis-server")
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}
