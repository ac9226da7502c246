//! Every example of `docs/api.md`, run as it stands there.

use crate::truth::top_is;
use e2e::stack::{ADMIN, PATIENCE, WRITER};
use e2e::{Infra, Stack, until};
use serde_json::{Value, json};
use std::process::Command;

/// One example: the script, the status and body that the document says, the endpoint it stands
/// under.
struct Example<'a> {
    script: String,
    status: &'a str,
    body: Option<Value>,
    endpoint: Option<&'a str>,
}

fn examples(document: &str) -> Vec<Example<'_>> {
    let mut examples: Vec<Example<'_>> = Vec::new();
    let mut endpoint = None;
    let mut lines = document.lines().filter(|line| !line.is_empty());
    while let Some(line) = lines.next() {
        let mut block = || lines.by_ref().take_while(|line| *line != "```").collect::<Vec<_>>().join("\n");
        match line {
            "```sh" => {
                let script = block();
                let status = lines.next().and_then(|line| line.strip_prefix("→ "));
                let status = status.unwrap_or_else(|| panic!("no status below {script}"));
                examples.push(Example { script, status, body: None, endpoint });
            }
            "```json" => {
                let body = serde_json::from_str(&block()).unwrap();
                examples.last_mut().expect("a body stands below an example").body = Some(body);
            }
            _ if line.starts_with('#') => {
                endpoint = line.strip_prefix("### `").and_then(|path| path.strip_suffix('`'));
            }
            _ => {}
        }
    }
    examples
}

/// Without what differs from one deployment to the next.
fn lasting(mut body: Value) -> Value {
    match &mut body {
        Value::Object(members) => {
            for (name, member) in members {
                let passing = ["epoch", "version", "next", "fingerprint", "last_used"];
                let passes = passing.contains(&name.as_str()) && !member.is_null();
                *member = if passes { "passes".into() } else { lasting(member.take()) };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = lasting(item.take())),
        _ => {}
    }
    body
}

fn endpoints(document: &str) -> Vec<&str> {
    let headings = document.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    headings.collect()
}

/// The boards that the document tells of.
const BOARDS: &str = r#"
[[board]]
name = "game-score"

[[board.season]]
name = "season-1"
start = 2026-01-01
end = 2100-01-01

[[board]]
name = "by-country"
match = { country = "{country}" }
"#;

const DOCUMENT: &str = include_str!("../../../../docs/api.md");

#[test]
fn every_documented_endpoint_has_an_example_that_succeeds() {
    let examples = examples(DOCUMENT);
    let endpoints = endpoints(DOCUMENT);
    assert!(endpoints.len() >= 13, "{endpoints:?}");
    for endpoint in endpoints {
        let succeeds =
            |example: &&Example<'_>| example.endpoint == Some(endpoint) && example.status.starts_with('2');
        assert!(examples.iter().any(|example| succeeds(&example)), "{endpoint} has no example");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn examples_of_the_api_document_do_what_it_says() {
    let Some(infra) = Infra::from_env() else { return };
    let file = std::env::temp_dir().join(format!("rankstream-{}.toml", uuid::Uuid::new_v4()));
    std::fs::write(&file, BOARDS).unwrap();
    let stack = Stack::of_boards(&infra, &file).await;
    let scores = [("42", 25), ("7", 20), ("9", 20), ("a/b", 5), ("c,d", -3)];
    for (second, (player, score)) in scores.into_iter().enumerate() {
        let at = format!("2026-11-21T12:00:{second:02}Z");
        let mut event = json!({"score": score, "user_id": player, "created_at": at});
        if player == "42" {
            event["nickname"] = "Zoë".into();
            event["tags"] = json!({"country": "MT"});
        }
        stack.produce(&[(player.into(), Some(event.to_string().into_bytes()))]).await;
    }
    top_is(&stack, &scores).await;
    until("the board of the country", PATIENCE, async || {
        let (status, page) = stack.get("/v1/boards/by-country:MT/top");
        if page["players"] == 1 { Ok(()) } else { Err(format!("{status} {page}")) }
    })
    .await;
    let mut failures = Vec::new();
    for Example { script, status, body, .. } in examples(DOCUMENT) {
        // As a reader would run it, but that curl says the status after the body.
        let ran = Command::new("bash")
            .args(["-euo", "pipefail", "-c"])
            .arg(format!("curl() {{ command curl -s -w '\\n%{{http_code}}' \"$@\"; }}\n{script}"))
            .envs([("URL", stack.url().as_str()), ("KEY", WRITER), ("ADMIN_KEY", ADMIN)])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&ran.stdout);
        let (answered, answered_status) = text.rsplit_once('\n').unwrap_or_default();
        let as_said = body.is_none_or(|body| {
            serde_json::from_str(answered).is_ok_and(|answered| lasting(answered) == lasting(body))
        });
        if !ran.status.success() || answered_status != status || !as_said {
            let errors = String::from_utf8_lossy(&ran.stderr);
            failures.push(format!("{script}\n→ not {status}, or not the body, but\n{text}{errors}"));
        }
    }
    std::fs::remove_file(&file).unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
