//! The API's description, and the pages that show it.

use crate::support::{Controller, Setup};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const FOR_PEOPLE: &str = include_str!("../../../docs/api.md");

#[tokio::test(flavor = "multi_thread")]
async fn every_path_of_the_api_is_described_and_every_described_path_is_there() {
    let controller = Controller::start(Setup::default()).await;
    let answer = controller.get("/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let document = answer.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    let known: BTreeSet<&str> = paths.keys().map(String::as_str).collect();
    for path in [
        "/v1/boards",
        "/v1/boards/{board}",
        "/v1/boards/{board}/top",
        "/v1/boards/{board}/players/{id}",
        "/v1/boards/{board}/players/{id}/around",
        "/v1/boards/{board}/players",
        "/v1/boards/{board}/distribution",
        "/v1/boards/{board}/rank-of",
        "/v1/boards/{board}/events",
        "/v1/players/{id}/boards",
        "/v1/scores",
        "/v1/players/{id}",
        "/v1/keys",
    ] {
        assert!(known.contains(path), "{path} is not described");
    }
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            let at = path.replace("{board}", "none").replace("{id}", "7");
            let answer = controller.ask(&method.to_uppercase(), &at, "").await;
            assert!(
                answer.status != 405 && answer.header("content-type") == Some("application/problem+json")
            );
            assert!(operation["summary"].is_string(), "{method} {path}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key(&answer.status.to_string()), "{method} {path}: {}", answer.status);
            assert!(responses.contains_key("429") && responses.contains_key("401"), "{method} {path}");
            let tagged = operation["tags"] == json!(["boards"]);
            assert_eq!(responses.contains_key("304"), tagged, "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_described_to_machines_is_described_to_people_and_no_more() {
    let controller = Controller::start(Setup::default()).await;
    let document = controller.get("/openapi.json").await.json();
    let operations = document["paths"].as_object().unwrap().iter().flat_map(|(path, operations)| {
        operations.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let headings = FOR_PEOPLE.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let headings: BTreeSet<String> = headings.map(str::to_owned).collect();
    assert_eq!(headings, operations.collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reference_of_the_description_leads_somewhere() {
    let controller = Controller::start(Setup::default()).await;
    let document = controller.get("/openapi.json").await.json();
    let mut left = vec![&document];
    let mut references = 0;
    while let Some(value) = left.pop() {
        match value {
            Value::Array(items) => left.extend(items),
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    references += 1;
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                left.extend(members.values());
            }
            _ => {}
        }
    }
    assert!(references > 10);
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in ["Page", "Player", "Problem", "ScoreEvent"] {
        assert!(schemas.contains_key(name), "{:?}", schemas.keys());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn docs_run_no_inline_script_and_load_nothing_from_elsewhere() {
    let controller = Controller::start(Setup::default()).await;
    for path in ["/docs", "/docs/"] {
        let answer = controller.get(path).await;
        assert_eq!((answer.status, answer.header("location")), (308, Some("/docs/index.html")));
    }
    let page = controller.get("/docs/index.html").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!page.body.contains("://"), "{}", page.body);
    let parts: Vec<&str> = page
        .body
        .split(['"', '\''])
        .filter_map(|attribute| attribute.strip_prefix("./"))
        .filter(|part| part.ends_with(".js") || part.ends_with(".css"))
        .collect();
    assert!(parts.len() >= 4, "{parts:?}");
    for part in parts {
        let answer = controller.get(&format!("/docs/{part}")).await;
        assert_eq!(answer.status, 200, "{part}");
        assert!(answer.header("content-security-policy").is_some_and(|other| other == policy));
    }
    assert!(controller.get("/docs/swagger-initializer.js").await.body.contains("/openapi.json"));
    assert_eq!(controller.get("/docs/no.js").await.problem().0, "unknown-path");
}
