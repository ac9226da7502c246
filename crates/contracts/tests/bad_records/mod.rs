//! The table of bad records.

use contracts::RefusalClass as Class;

/// A record that must be refused.
pub struct BadRecord {
    /// What is wrong with it.
    pub name: &'static str,
    /// The record's value; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
    /// The class it must be refused with.
    pub class: Class,
    /// The member that must be named.
    pub field: Option<&'static str>,
}

/// At least one record of every kind that can be bad.
pub fn bad_records() -> Vec<BadRecord> {
    let deep = format!(r#"{{"score":1,"user_id":1,"x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let huge = format!(r#"{{"score":1,"user_id":1,"x":"{}"}}"#, "x".repeat(70 * 1024));
    let long_id = format!(r#"{{"score":1,"user_id":"{}"}}"#, "i".repeat(129));
    let long_number_id = format!(r#"{{"score":1,"user_id":{}}}"#, "9".repeat(129));
    let long_event_id = format!(r#"{{"score":1,"user_id":1,"event_id":"{}"}}"#, "e".repeat(65));
    let long_nickname = format!(r#"{{"score":1,"user_id":1,"nickname":"{}"}}"#, "é".repeat(65));
    let many_tags = (0..33).map(|i| format!(r#""t{i}":"v""#)).collect::<Vec<_>>().join(",");
    let many_tags = format!(r#"{{"score":1,"user_id":1,"tags":{{{many_tags}}}}}"#);
    let text = |name, payload: &str, class, field| BadRecord {
        name,
        payload: Some(payload.as_bytes().to_vec()),
        class,
        field,
    };
    vec![
        BadRecord { name: "tombstone", payload: None, class: Class::Empty, field: None },
        text("empty value", "", Class::Empty, None),
        text("spaces only", "   ", Class::NotJson, None),
        text("plain text", "hello", Class::NotJson, None),
        text("cut off", r#"{"score":1,"user_id":1"#, Class::NotJson, None),
        text("two objects", r#"{"score":1,"user_id":1}{}"#, Class::NotJson, None),
        text("trailing comma", r#"{"score":1,"user_id":1,}"#, Class::NotJson, None),
        text("single quotes", "{'score':1,'user_id':1}", Class::NotJson, None),
        text("NaN", r#"{"score":NaN,"user_id":1}"#, Class::NotJson, None),
        text("Infinity", r#"{"score":Infinity,"user_id":1}"#, Class::NotJson, None),
        text("leading zero", r#"{"score":007,"user_id":1}"#, Class::NotJson, None),
        text("raw control character", "{\"score\":1,\"user_id\":\"a\u{1}b\"}", Class::NotJson, None),
        text("byte order mark", "\u{feff}{\"score\":1,\"user_id\":1}", Class::NotJson, None),
        text("array", r#"[{"score":1,"user_id":1}]"#, Class::NotAnObject, None),
        text("bare number", "5", Class::NotAnObject, None),
        text("null", "null", Class::NotAnObject, None),
        text("bare string", r#""score""#, Class::NotAnObject, None),
        BadRecord {
            name: "invalid UTF-8",
            payload: Some(b"{\"score\":1,\"user_id\":\"\xff\xfe\"}".to_vec()),
            class: Class::NotUtf8,
            field: None,
        },
        BadRecord {
            name: "binary",
            payload: Some(vec![0, 159, 146, 150]),
            class: Class::NotUtf8,
            field: None,
        },
        text("70 KiB", &huge, Class::TooLarge, None),
        text("no user_id", r#"{"score":1}"#, Class::MissingField, Some("user_id")),
        text("no score", r#"{"user_id":1}"#, Class::MissingField, Some("score")),
        text("no member at all", "{}", Class::MissingField, Some("user_id")),
        text("members in other case", r#"{"Score":1,"User_Id":1}"#, Class::MissingField, Some("user_id")),
        text("score as text", r#"{"score":"5","user_id":1}"#, Class::WrongType, Some("score")),
        text("score null", r#"{"score":null,"user_id":1}"#, Class::WrongType, Some("score")),
        text("score true", r#"{"score":true,"user_id":1}"#, Class::WrongType, Some("score")),
        text("score an array", r#"{"score":[1],"user_id":1}"#, Class::WrongType, Some("score")),
        text("user_id null", r#"{"score":1,"user_id":null}"#, Class::WrongType, Some("user_id")),
        text("user_id an object", r#"{"score":1,"user_id":{"id":1}}"#, Class::WrongType, Some("user_id")),
        text("user_id a fraction", r#"{"score":1,"user_id":1.5}"#, Class::InvalidValue, Some("user_id")),
        text("user_id minus zero", r#"{"score":1,"user_id":-0}"#, Class::InvalidValue, Some("user_id")),
        text("user_id empty", r#"{"score":1,"user_id":""}"#, Class::InvalidValue, Some("user_id")),
        text("user_id of 129 bytes", &long_id, Class::InvalidValue, Some("user_id")),
        text("user_id of 129 digits", &long_number_id, Class::InvalidValue, Some("user_id")),
        text(
            "control character in user_id",
            r#"{"score":1,"user_id":"a\u0000b"}"#,
            Class::InvalidValue,
            Some("user_id"),
        ),
        text(
            "C1 control in user_id",
            "{\"score\":1,\"user_id\":\"a\u{85}b\"}",
            Class::InvalidValue,
            Some("user_id"),
        ),
        text(
            "lone surrogate in user_id",
            r#"{"score":1,"user_id":"\ud800"}"#,
            Class::InvalidValue,
            Some("user_id"),
        ),
        text("1e400", r#"{"score":1e400,"user_id":1}"#, Class::OutOfRange, Some("score")),
        text("19 digits", r#"{"score":1234567890123456789,"user_id":1}"#, Class::OutOfRange, Some("score")),
        text("ten decimals", r#"{"score":0.0000000001,"user_id":1}"#, Class::TooPrecise, Some("score")),
        text("score twice", r#"{"score":1,"score":2,"user_id":1}"#, Class::DuplicateMember, Some("score")),
        text("unknown member twice", r#"{"score":1,"user_id":1,"x":1,"x":2}"#, Class::DuplicateMember, None),
        text("deep nesting", &deep, Class::TooDeep, Some("x")),
        text(
            "U+0000 in an unknown member",
            r#"{"score":1,"user_id":1,"x":["\u0000"]}"#,
            Class::InvalidValue,
            Some("x"),
        ),
        text(
            "1e400 in an unknown member",
            r#"{"score":1,"user_id":1,"x":1e400}"#,
            Class::OutOfRange,
            Some("x"),
        ),
        text(
            "created_at a number",
            r#"{"score":1,"user_id":1,"created_at":1795260000}"#,
            Class::WrongType,
            Some("created_at"),
        ),
        text(
            "created_at not a time",
            r#"{"score":1,"user_id":1,"created_at":"soon"}"#,
            Class::InvalidValue,
            Some("created_at"),
        ),
        text(
            "30 February",
            r#"{"score":1,"user_id":1,"created_at":"2026-02-30T00:00:00"}"#,
            Class::InvalidValue,
            Some("created_at"),
        ),
        text(
            "created_at in the future",
            r#"{"score":1,"user_id":1,"created_at":"2999-01-01T00:00:00"}"#,
            Class::TooFarInFuture,
            Some("created_at"),
        ),
        text(
            "event_id a number",
            r#"{"score":1,"user_id":1,"event_id":5}"#,
            Class::WrongType,
            Some("event_id"),
        ),
        text("event_id of 65 bytes", &long_event_id, Class::InvalidValue, Some("event_id")),
        text("nickname of 130 bytes", &long_nickname, Class::InvalidValue, Some("nickname")),
        text(
            "newline in nickname",
            r#"{"score":1,"user_id":1,"nickname":"a\nb"}"#,
            Class::InvalidValue,
            Some("nickname"),
        ),
        text("tags an array", r#"{"score":1,"user_id":1,"tags":["a"]}"#, Class::WrongType, Some("tags")),
        text(
            "tag value a number",
            r#"{"score":1,"user_id":1,"tags":{"level":3}}"#,
            Class::WrongType,
            Some("tags"),
        ),
        text("33 tags", &many_tags, Class::OutOfRange, Some("tags")),
    ]
}
