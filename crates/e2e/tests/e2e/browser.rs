//! The page in a real browser.

use e2e::{Infra, Service, Stack};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Headless Chromium, driven by `browser/page.mjs`.
struct Browser {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Browser {
    fn open(url: &str, screenshots: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/page.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .env("BASE_URL", url)
            .env("SCREENSHOT_DIR", screenshots)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut browser = Self { child, commands, answers };
        browser.answer("open");
        browser
    }

    fn answer(&mut self, to: &str) {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{to}: {error}: {line:?}"));
        assert_eq!(answer["ok"], true, "{to}: {answer}");
    }

    fn tell(&mut self, command: &Value) {
        writeln!(self.commands, "{command}").unwrap();
        self.answer(&command.to_string());
    }

    fn close(mut self) {
        self.tell(&json!({"cmd": "close"}));
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            nix::sys::signal::Signal::SIGTERM,
        );
        let _ = self.child.wait();
    }
}

/// Where Chromium and the driver are, or `None`: said aloud, and a failure where required.
fn browser_is_there() -> bool {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/node_modules");
    let chromium =
        std::env::var_os("CHROMIUM").map_or_else(|| PathBuf::from("/usr/bin/chromium"), PathBuf::from);
    let there = driver.exists() && chromium.exists();
    if !there {
        assert!(
            std::env::var_os("RANKSTREAM_TEST_REQUIRED").is_none(),
            "{} or {} is missing",
            driver.display(),
            chromium.display()
        );
        eprintln!("SKIPPED: no {} or {}", driver.display(), chromium.display());
    }
    there
}

fn row(rank: &str, name: &str, score: &str) -> Value {
    json!({"rank": rank, "name": name, "score": score})
}

#[tokio::test(flavor = "multi_thread")]
async fn page_follows_the_board_and_never_blanks() {
    let Some(infra) = Infra::from_env() else { return };
    if !browser_is_there() {
        return;
    }
    let mut stack = Stack::bare(&infra).await;
    for service in Service::ALL {
        stack.spawn(service, service.program(), &[("ALLOWED_ORIGINS", "*")]);
    }
    for service in Service::ALL {
        stack.ready(service.program()).await;
    }
    let score = async |user: &str, score: i64, nickname: &str| {
        let event = json!({"score": score, "user_id": user, "nickname": nickname}).to_string();
        stack.produce(&[(user.as_bytes().to_vec(), Some(event.into()))]).await;
    };
    let shots = stack.dir().to_owned();
    let url = stack.url();
    let mut page = tokio::task::block_in_place(|| Browser::open(&url, &shots));
    page.tell(&json!({"cmd": "expect_text", "selector": "#empty", "contains": "score-generator", "timeout_ms": 15000}));

    score("1", 10, "<img src=x onerror=alert(1)>").await;
    score("2", 20, "שלום").await;
    page.tell(&json!({"cmd": "expect_rows", "timeout_ms": 15000, "rows": [
        row("1", "שלום", "20"), row("2", "<img src=x onerror=alert(1)>", "10")]}));
    page.tell(&json!({"cmd": "expect_status", "status": "live", "timeout_ms": 10000}));
    page.tell(&json!({"cmd": "expect_no_html"}));
    page.tell(&json!({"cmd": "a11y"}));
    score("1", 11, "Zoë").await;
    let moved = json!({"cmd": "expect_rows", "timeout_ms": 15000, "rows": [row("1", "Zoë", "21"), row("2", "שלום", "20")]});
    page.tell(&moved);
    // Of equals, whoever was there first stays before the other.
    score("3", 20, "Ada").await;
    page.tell(&json!({"cmd": "expect_rows", "timeout_ms": 15000, "exactly": true, "rows": [
        row("1", "Zoë", "21"), row("2", "שלום", "20"), row("3", "Ada", "20")]}));
    page.tell(&json!({"cmd": "plain", "ws": stack.live_url()}));
    page.tell(&json!({"cmd": "expect_plain", "first": {"rank": "1", "name": "Zoë", "score": "21"}, "timeout_ms": 10000}));

    // The controller goes away and comes back: the rows stay, the page says so, and follows again.
    page.tell(&json!({"cmd": "outage"}));
    stack.program("controller").kill();
    page.tell(&json!({"cmd": "expect_status", "status": "reconnecting", "timeout_ms": 10000}));
    page.tell(&moved);
    stack.spawn(Service::Controller, "controller", &[("ALLOWED_ORIGINS", "*")]);
    stack.ready("controller").await;
    let event = json!({"score": 5, "user_id": "2", "nickname": "שלום"}).to_string();
    stack.produce(&[(b"2".to_vec(), Some(event.into()))]).await;
    page.tell(&json!({"cmd": "expect_status", "status": "live", "timeout_ms": 30000}));
    page.tell(&json!({"cmd": "expect_rows", "timeout_ms": 15000, "rows": [row("1", "שלום", "25"), row("2", "Zoë", "21")]}));
    page.tell(&json!({"cmd": "goto", "path": "/overlay"}));
    page.tell(&json!({"cmd": "expect_rows", "timeout_ms": 15000, "rows": [row("1", "שלום", "25")]}));
    page.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn api_docs_work_under_their_policy() {
    let Some(infra) = Infra::from_env() else { return };
    if !browser_is_there() {
        return;
    }
    let mut stack = Stack::bare(&infra).await;
    stack.spawn(Service::Controller, "controller", &[]);
    stack.ready("controller").await;
    let (url, shots) = (stack.url(), stack.dir().to_owned());
    let mut page = tokio::task::block_in_place(|| Browser::open(&url, &shots));
    // Any violation of the policy makes a command fail.
    page.tell(&json!({"cmd": "goto", "path": "/docs/index.html"}));
    for (path, contains) in [("/v1/scores", "scores"), ("/v1/boards/{board}/top", "top")] {
        let selector = format!(".opblock-summary-path[data-path=\"{path}\"]");
        page.tell(
            &json!({"cmd": "expect_text", "selector": selector, "contains": contains, "timeout_ms": 15000}),
        );
    }
    page.close();
}
