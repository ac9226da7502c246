//! Requests made from the API's own description, right ones and wrong ones: each is answered with
//! a status that is described, and with a body that is as described.

use crate::deployment::{Deployment, EVERY_KIND, encoded, played};
use crate::support::{Answer, Controller};
use jsonschema::Validator;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::string::string_regex;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// For each operation.
const REQUESTS: usize = 400;
/// The seed of the run: the same requests each time.
const SEED: [u8; 32] = [7; 32];
/// The operation that answers for ever has tests of its own.
const ENDLESS: &str = "/v1/boards/{board}/events";

/// Values that mean something, by the names of the parameters.
type Good = BTreeMap<&'static str, Vec<String>>;

/// A method at a path, as it is described.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    described: &'a Value,
    document: &'a Value,
}

/// What is sent.
#[derive(Clone, Debug)]
struct Request {
    target: String,
    headers: String,
    body: String,
}

impl<'a> Operation<'a> {
    fn all(document: &'a Value) -> Vec<Self> {
        let paths = document["paths"].as_object().unwrap().iter();
        paths
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().iter();
                methods.map(move |(method, described)| Self { method, path, described, document })
            })
            .collect()
    }

    /// What is wrong with the answer, if anything.
    fn judge(&self, answer: &Answer) -> Result<(), String> {
        let described = &self.described["responses"][answer.status.to_string()];
        if described.is_null() {
            return Err(format!("status {} is not described", answer.status));
        }
        if answer.status >= 500 {
            return Err("something is wrong on our side".into());
        }
        let Some(content) = described["content"].as_object() else {
            return if answer.body.is_empty() { Ok(()) } else { Err("no body is described".into()) };
        };
        let kind = answer.header("content-type").unwrap_or_default();
        let schema = content.get(kind).ok_or_else(|| format!("content type {kind} is not described"))?;
        let body = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
        let fault = self.validator(&schema["schema"]).validate(&body).err().map(|fault| fault.to_string());
        fault.map_or(Ok(()), Err)
    }

    /// Schemas refer to the document that they stand in.
    fn validator(&self, schema: &Value) -> Validator {
        let mut whole = schema.clone();
        whole["components"] = self.document["components"].clone();
        jsonschema::draft202012::new(&whole).unwrap()
    }

    /// `good` has what there is, by the names of the parameters.
    fn requests(&self, good: &Good) -> BoxedStrategy<Request> {
        let parameters = self.described["parameters"].as_array().cloned().unwrap_or_default();
        let parts: Vec<_> = parameters
            .into_iter()
            .map(|parameter| {
                let text = text_of(&parameter, good);
                let text = match (parameter["in"] == "path", parameter["required"] == true) {
                    (true, _) => text.prop_map(Some).boxed(),
                    (_, true) => prop::option::weighted(0.95, text).boxed(),
                    (_, false) => prop::option::of(text).boxed(),
                };
                text.prop_map(move |text| (parameter.clone(), text))
            })
            .collect();
        let key = select(vec!["", "r", "w", "w", "w", "a", "a", "x"]);
        let body = match self.described["requestBody"]["content"]["application/json"]["schema"].clone() {
            Value::Null => Just(String::new()).boxed(),
            schema => prop_oneof![
                6 => like(&schema, self.document).prop_map(|value| value.to_string()),
                1 => any_json().prop_map(|value| value.to_string()),
                1 => "\\PC{0,40}",
            ]
            .boxed(),
        };
        let kind = prop_oneof![9 => Just("application/json"), 1 => Just("text/plain")];
        let stranger = prop_oneof![9 => Just(""), 1 => Just("no%20such=1")];
        let path = self.path.to_owned();
        (parts, key, body, kind, stranger)
            .prop_map(move |(parts, key, body, kind, stranger)| {
                let (mut target, mut query, mut headers) = (path.clone(), Vec::new(), String::new());
                for (parameter, text) in parts {
                    let (Some(name), Some(text)) = (parameter["name"].as_str(), text) else { continue };
                    match parameter["in"].as_str() {
                        Some("path") => target = target.replace(&format!("{{{name}}}"), &encoded(&text)),
                        Some("query") if parameter["allowReserved"] == true => {
                            let items: Vec<String> = text.split(',').map(encoded).collect();
                            query.push(format!("{name}={}", items.join(",")));
                        }
                        Some("query") => query.push(format!("{name}={}", encoded(&text))),
                        _ => headers += &format!("{name}: {}\r\n", ascii(&text)),
                    }
                }
                query.extend(Some(stranger.to_owned()).filter(|stranger| !stranger.is_empty()));
                if !query.is_empty() {
                    target += &format!("?{}", query.join("&"));
                }
                if !key.is_empty() {
                    headers += &format!("Authorization: Bearer {key}\r\n");
                }
                if !body.is_empty() {
                    headers += &format!("Content-Type: {kind}\r\n");
                }
                Request { target, headers, body }
            })
            .boxed()
    }
}

/// Values that are right for a parameter, and now and then others.
fn text_of(parameter: &Value, good: &Good) -> BoxedStrategy<String> {
    let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
    let right = match (good.get(name), schema["pattern"].as_str(), schema["type"].as_str()) {
        (Some(good), ..) => select(good.clone()).boxed(),
        // Strings are made by what stands between the anchors.
        (_, Some(pattern), _) => {
            string_regex(pattern.trim_start_matches('^').trim_end_matches('$')).unwrap().boxed()
        }
        (_, _, Some("integer")) => {
            let (least, most) = (schema["minimum"].as_u64().unwrap(), schema["maximum"].as_u64().unwrap());
            (least..=most).prop_map(|number| number.to_string()).boxed()
        }
        (_, _, Some("number")) => (-99..99i32).prop_map(|number| number.to_string()).boxed(),
        _ => any_text(),
    };
    prop_oneof![4 => right, 1 => "[0-9]{1,3}", 1 => any_text()].boxed()
}

/// Values of the schema, and now and then a member that is wrong or missing.
fn like(schema: &Value, document: &Value) -> BoxedStrategy<Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
        return like(schema, document);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let choices: Vec<_> = choices.iter().map(|choice| like(choice, document)).collect();
        return select((0..choices.len()).collect::<Vec<_>>())
            .prop_flat_map(move |at| choices[at].clone())
            .boxed();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or_default();
    let right = match kind {
        "object" if schema["properties"].is_object() => {
            let members = schema["properties"].as_object().unwrap().iter();
            let members: Vec<_> = members
                .map(|(name, member)| {
                    let name = name.clone();
                    let often = if schema["required"].as_array().is_some_and(|all| all.contains(&json!(name))) { 0.97 } else { 0.3 };
                    prop::option::weighted(often, like(member, document))
                        .prop_map(move |value| value.map(|value| (name.clone(), value)))
                })
                .collect();
            members.prop_map(|members| Value::Object(members.into_iter().flatten().collect::<Map<_, _>>())).boxed()
        }
        "object" => btree_map("[a-z]{1,3}", any_text(), 0..3).prop_map(|members| json!(members)).boxed(),
        "array" => vec(like(&schema["items"], document), 0..6).prop_map(Value::Array).boxed(),
        "integer" => any::<i64>().prop_map(|number| json!(number % 1_000)).boxed(),
        "number" => prop_oneof![9 => (-999i64..999).prop_map(|number| json!(number)), 1 => any::<f64>().prop_map(|number| json!(number))].boxed(),
        _ => any_text().prop_map(Value::String).boxed(),
    };
    prop_oneof![24 => right, 1 => any_json()].boxed()
}

fn any_text() -> BoxedStrategy<String> {
    prop_oneof![
        "[a-z0-9]{1,8}",
        "[^\\p{Cc}]{1,12}",
        "\\PC{0,4}|[\\x00-\\x1f]{1,2}|x{129}",
        "2026-1[01]-2[01]T12:00:00(\\.[0-9]{6})?Z?",
    ]
    .boxed()
}

fn any_json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| json!(number)),
        any_text().prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            btree_map("[a-z_]{1,8}", inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
    .boxed()
}

/// What may stand in a header.
fn ascii(text: &str) -> String {
    text.chars().filter(|c| (' '..='~').contains(c)).collect()
}

async fn document(controller: &Controller) -> Value {
    controller.get("/openapi.json").await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_it_is_described() {
    let now = "2026-10-25T03:00:00Z";
    let log: Vec<_> = [("7", "3"), ("x", "2"), ("y", "2"), ("x", "0.5")]
        .into_iter()
        .map(|(player, score)| played(player, score, now).tagged("team", "reds").tagged("ranked", "yes"))
        .chain([played("7", "1", "2026-10-25T00:45:00Z").tagged("ranked", "yes")])
        .collect();
    let Some(deployment) = Deployment::start(EVERY_KIND, &log, now).await else { return };
    let controller = &deployment.controller;
    let document = document(controller).await;
    let name = &deployment.prefix;
    let cursor = deployment.json("", "/top?limit=1").await["next"].as_str().unwrap().to_owned();
    // The first one has most of the windows.
    let boards =
        ["", "", "", "-golf", "-team:reds", "-last", "-team"].map(|suffix| format!("{name}{suffix}"));
    let windows = ["all", "day", "previous-day", "2026-10-25", "hour", "2026-10", "week", "autumn"];
    let good = Good::from([
        ("board", boards.to_vec()),
        ("boards", vec![name.clone(), format!("{name},none"), boards.join(",")]),
        ("window", windows.map(str::to_owned).to_vec()),
        ("cursor", vec![cursor]),
        ("id", vec!["7".to_owned()]),
        ("ids", vec!["x".to_owned(), "nobody,7,x".to_owned()]),
        // Few, so that some come again.
        ("Idempotency-Key", (0..60).map(|key| format!("key-{key}")).collect()),
    ]);
    let mut runner =
        TestRunner::new_with_rng(ProptestConfig::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &SEED));
    let mut seen = BTreeMap::<String, BTreeMap<u16, usize>>::new();
    for operation in Operation::all(&document) {
        if operation.path == ENDLESS {
            continue;
        }
        let requests = operation.requests(&good);
        for _ in 0..REQUESTS {
            let Request { target, headers, body } = requests.new_tree(&mut runner).unwrap().current();
            let method = operation.method.to_uppercase();
            let answer = controller.send(&method, &target, &headers, &body).await;
            // A path that no longer is the operation's is answered by another, or by none.
            if answer.status == 404 && answer.problem().0 == "unknown-path" {
                continue;
            }
            if let Err(fault) = operation.judge(&answer) {
                panic!("{method} {target}\n{headers}\n{body}\n\n{}: {}\n{fault}", answer.status, answer.body);
            }
            *seen
                .entry(format!("{method} {}", operation.path))
                .or_default()
                .entry(answer.status)
                .or_default() += 1;
        }
    }
    // It went beyond the refusals.
    for (operation, statuses) in &seen {
        println!("{operation}: {statuses:?}");
        let good: usize = statuses.range(..300).map(|(_, count)| count).sum();
        assert!(good > 20, "{operation} was hardly ever done: {statuses:?}");
    }
    assert!(seen.values().any(|statuses| statuses.contains_key(&207)), "{seen:?}");
    assert_eq!(seen.len() + 1, Operation::all(&document).len());
}

/// The negative control: answers that are not as described are noticed.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_as_described_are_noticed() {
    let controller = Controller::start(crate::support::Setup::default()).await;
    let document = document(&controller).await;
    let operations = Operation::all(&document);
    let post = operations.iter().find(|operation| operation.method == "post").unwrap();
    let answer = |status: u16, kind: &str, body: &str| {
        Answer::read(&format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n\r\n{body}"))
    };
    let (plain, problem) = ("application/json", "application/problem+json");
    let good = r#"{"accepted":1,"rejected":[]}"#;
    let refused = r#"{"type":"/problems/x","title":"X","status":400,"detail":"x"}"#;
    assert_eq!(post.judge(&answer(202, plain, good)), Ok(()));
    assert_eq!(post.judge(&answer(400, problem, refused)), Ok(()));
    for wrong in [
        answer(200, plain, good),
        answer(202, problem, good),
        answer(202, plain, r#"{"accepted":1}"#),
        answer(202, plain, r#"{"accepted":"1","rejected":[]}"#),
        answer(202, plain, "accepted"),
        answer(207, plain, r#"{"accepted":1,"rejected":[{"index":0}]}"#),
        answer(400, plain, refused),
        answer(400, problem, r#"{"title":"X"}"#),
        answer(503, problem, &refused.replace("400", "503")),
    ] {
        assert!(post.judge(&wrong).is_err(), "{} {}", wrong.status, wrong.body);
    }
}
