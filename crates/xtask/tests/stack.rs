//! The stack's commands on programs that only pretend: deaths at start, deaths later, Ctrl-C.
//!
//! Each test has a checkout of its own. The programs are this very test program, which
//! [`pretend`] turns into a service.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// Not a test: what the pretended services run. Without an address there is nothing to do.
#[test]
#[ignore = "is run by the pretended services"]
fn pretend() {
    let Some(address) = std::env::var_os("ADMIN_ADDR") else { return };
    let listener = TcpListener::bind(address.to_str().unwrap()).unwrap();
    for stream in listener.incoming() {
        // A request is one packet.
        let mut stream = stream.unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
}

struct Stack {
    root: PathBuf,
}

impl Stack {
    /// All programs pretend well.
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("rankstream-{name}-{}", std::process::id()));
        std::fs::create_dir_all(root.join("programs")).unwrap();
        let stack = Self { root };
        stack.program("boardctl", "exit 0");
        stack.program("score-generator", "exec sleep 600");
        let own = std::env::current_exe().unwrap();
        for service in ["score-ranker", "score-archiver", "board-cache", "controller"] {
            stack.program(service, &format!("exec '{}' --ignored --exact pretend", own.display()));
        }
        stack
    }

    fn program(&self, name: &str, script: &str) {
        let file = self.root.join("programs").join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(arguments)
            .env("RANKSTREAM_CHECKOUT", &self.root)
            .env("RANKSTREAM_BIN_DIR", self.root.join("programs"))
            .env_remove("RANKSTREAM_PORT")
            .env("KAFKA_BROKERS", "127.0.0.1:1")
            .env("REDIS_URL", "redis://127.0.0.1:1")
            .env("POSTGRES_URL", "postgres://u:p@127.0.0.1:1/d");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    fn up(&self) -> Output {
        self.run(&["up", "--infra", "external"])
    }

    fn status(&self) -> Vec<Value> {
        serde_json::from_slice(&self.run(&["status", "--json"]).stdout).unwrap()
    }

    fn row(&self, name: &str) -> Value {
        self.status().into_iter().find(|row| row["name"] == name).unwrap_or_default()
    }

    /// Waits for the condition.
    fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < PATIENCE, "not {what}: {:?}", self.status());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.run(&["down"]);
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn signal(pid: &Value, signal: &str) {
    let pid = pid.as_u64().unwrap().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

fn lives(pid: &Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_u64().unwrap()));
    stat.is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with('Z'))
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn supervisor(root: &Path) -> Value {
    let state: Value =
        serde_json::from_slice(&std::fs::read(root.join(".local/state.json")).unwrap()).unwrap();
    state["supervisor"]["pid"].clone()
}

#[test]
fn up_status_down_and_a_second_up() {
    let stack = Stack::new("updown");
    let up = stack.up();
    assert!(up.status.success(), "{}", words(&up));
    let endpoints = std::fs::read(stack.root.join(".local/endpoints.json")).unwrap();
    let endpoints: Value = serde_json::from_slice(&endpoints).unwrap();
    assert_eq!(endpoints["kafka"], "127.0.0.1:1");
    assert_eq!(endpoints["admin"].as_object().unwrap().len(), 4);
    let env = std::fs::read_to_string(stack.root.join(".local/env")).unwrap();
    let postgres = format!("export POSTGRES_URL='{}'", endpoints["postgres"].as_str().unwrap());
    assert!(env.lines().any(|line| line == postgres), "{env}");
    assert!(stack.run(&["status"]).status.success());
    let again = stack.up();
    assert!(again.status.success() && words(&again).contains("already up"), "{}", words(&again));
    let pids: Vec<Value> = stack.status().iter().map(|row| row["pid"].clone()).collect();
    assert_eq!(pids.len(), 4);
    assert!(stack.run(&["down"]).status.success());
    assert!(!pids.iter().any(lives));
    assert!(!stack.run(&["status"]).status.success());
}

#[test]
fn a_death_at_start_is_told_with_its_last_lines_and_leaves_nothing() {
    let stack = Stack::new("atstart");
    stack.program("board-cache", "echo $$ > ../pid; sleep 0.3; echo 'no such luck' >&2; exit 3");
    let up = stack.up();
    let words = words(&up);
    assert_eq!(up.status.code(), Some(1), "{words}");
    assert!(words.contains("board-cache died") && words.contains("no such luck"), "{words}");
    assert!(stack.status().is_empty());
    assert!(!stack.root.join(".local/endpoints.json").exists());
}

#[test]
fn a_later_death_is_shown_and_the_service_started_again() {
    let stack = Stack::new("later");
    assert!(stack.up().status.success());
    let first = stack.row("score-ranker")["pid"].clone();
    signal(&first, "-KILL");
    stack.until("ready again", || {
        let row = stack.row("score-ranker");
        row["state"] == "ready" && row["restarts"] == 1 && row["pid"] != first
    });
    assert!(stack.row("score-ranker")["last_exit"].as_str().unwrap().contains('9'));
}

#[test]
fn a_killed_supervisor_is_cleaned_up_after() {
    let stack = Stack::new("killed");
    assert!(stack.up().status.success());
    let left: Vec<Value> = stack.status().iter().map(|row| row["pid"].clone()).collect();
    signal(&supervisor(&stack.root), "-KILL");
    stack.until("noticed", || !stack.run(&["status"]).status.success());
    assert!(left.iter().all(lives));
    let up = stack.up();
    assert!(up.status.success(), "{}", words(&up));
    assert!(!left.iter().any(lives));
}

#[test]
fn ctrl_c_ends_a_demo_with_its_generator_and_nobody_else() {
    let stack = Stack::new("demo");
    let mut bystander = Command::new("sleep").arg("600").spawn().unwrap();
    let mut demo = stack.command(&["demo", "--infra", "external"]);
    let mut demo = demo.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    stack.until("with load", || stack.row("score-generator")["pid"].is_u64());
    let pids: Vec<Value> = stack.status().iter().map(|row| row["pid"].clone()).collect();
    assert_eq!(pids.len(), 5);
    signal(&Value::from(demo.id()), "-INT");
    assert!(demo.wait().unwrap().success());
    assert!(!pids.iter().any(lives));
    assert!(bystander.try_wait().unwrap().is_none());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn a_killed_demo_leaves_no_generator_behind_the_next_command() {
    let stack = Stack::new("orphan");
    let mut demo = stack.command(&["demo", "--infra", "external"]);
    let mut demo = demo.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    stack.until("with load", || stack.row("score-generator")["pid"].is_u64());
    let generator = stack.row("score-generator")["pid"].clone();
    demo.kill().unwrap();
    demo.wait().unwrap();
    assert!(lives(&generator));
    assert!(stack.run(&["down"]).status.success());
    assert!(!lives(&generator));
}

#[test]
fn ctrl_c_during_up_stops_what_it_started() {
    let stack = Stack::new("upstop");
    // Never ready.
    stack.program("controller", "exec sleep 600");
    let mut up = stack.command(&["up", "--infra", "external"]);
    let mut up = up.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    stack.until("starting", || stack.row("controller")["pid"].is_u64());
    let controller = stack.row("controller")["pid"].clone();
    signal(&Value::from(up.id()), "-INT");
    assert!(!up.wait().unwrap().success());
    assert!(!lives(&controller));
}

#[test]
fn a_port_that_is_taken_is_named_with_its_holder_and_nothing_is_started() {
    let stack = Stack::new("port");
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let up = stack.run(&["up", "--infra", "external", "--port", &port]);
    let words = words(&up);
    assert_eq!(up.status.code(), Some(1), "{words}");
    assert!(words.contains(&port) && words.contains(&std::process::id().to_string()), "{words}");
}

#[test]
fn external_servers_that_are_not_named_are_all_named_in_one_error() {
    let stack = Stack::new("external");
    let mut up = stack.command(&["up", "--infra", "external"]);
    let up = up.env_remove("KAFKA_BROKERS").env("REDIS_URL", "").output().unwrap();
    let words = words(&up);
    assert!(words.contains("KAFKA_BROKERS, REDIS_URL") && !words.contains("POSTGRES_URL"), "{words}");
}
