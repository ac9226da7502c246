//! `cjson`, the JSON of scripts.

use super::reply::format_general;
use mlua::{Lua, Table, Value};
use serde_json::Value as Json;

/// How deep `cjson` nests by default.
const MOST_LEVELS: usize = 1000;
/// `cjson` writes lists with holes, but none in which holes prevail.
const SPARSE_FROM: usize = 10;
const SPARSE_RATIO: usize = 2;

pub(super) fn decode(lua: &Lua, text: &Value) -> Result<Value, String> {
    let Value::String(text) = text else {
        return Err("bad argument #1 to 'decode' (string expected)".to_owned());
    };
    let json = serde_json::from_slice(&text.as_bytes()).map_err(|error| error.to_string())?;
    to_lua(lua, &json).map_err(|error| error.to_string())
}

fn to_lua(lua: &Lua, json: &Json) -> mlua::Result<Value> {
    Ok(match json {
        Json::Null => Value::NULL,
        Json::Bool(flag) => Value::Boolean(*flag),
        Json::Number(number) => Value::Number(number.as_f64().expect("every number has a double")),
        Json::String(text) => Value::String(lua.create_string(text)?),
        Json::Array(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for item in items {
                table.raw_push(to_lua(lua, item)?)?;
            }
            Value::Table(table)
        }
        Json::Object(members) => {
            let table = lua.create_table_with_capacity(0, members.len())?;
            for (name, member) in members {
                table.raw_set(name.as_str(), to_lua(lua, member)?)?;
            }
            Value::Table(table)
        }
    })
}

pub(super) fn encode(lua: &Lua, value: &Value) -> Result<Value, String> {
    let mut text = Vec::new();
    write(value, 0, &mut text)?;
    lua.create_string(text).map(Value::String).map_err(|error| error.to_string())
}

fn write(value: &Value, level: usize, text: &mut Vec<u8>) -> Result<(), String> {
    match value {
        Value::Nil => text.extend_from_slice(b"null"),
        null if *null == Value::NULL => text.extend_from_slice(b"null"),
        Value::Boolean(flag) => text.extend_from_slice(flag.to_string().as_bytes()),
        Value::Integer(number) => write_number(super::lua::to_double(*number), text)?,
        Value::Number(number) => write_number(*number, text)?,
        Value::String(string) => write_string(&string.as_bytes(), text),
        Value::Table(_) if level == MOST_LEVELS => {
            return Err(format!("Cannot serialise, excessive depth ({})", level + 1));
        }
        Value::Table(table) => write_table(table, level + 1, text)?,
        other => return Err(format!("Cannot serialise {}: type not supported", other.type_name())),
    }
    Ok(())
}

fn write_number(number: f64, text: &mut Vec<u8>) -> Result<(), String> {
    if !number.is_finite() {
        return Err("Cannot serialise number: must not be NaN or Inf".to_owned());
    }
    text.extend_from_slice(format_general(number, 14).as_bytes());
    Ok(())
}

fn write_string(string: &[u8], text: &mut Vec<u8>) {
    text.push(b'"');
    for &byte in string {
        match byte {
            b'"' | b'\\' | b'/' => text.extend_from_slice(&[b'\\', byte]),
            8 => text.extend_from_slice(b"\\b"),
            9 => text.extend_from_slice(b"\\t"),
            10 => text.extend_from_slice(b"\\n"),
            12 => text.extend_from_slice(b"\\f"),
            13 => text.extend_from_slice(b"\\r"),
            0..32 | 127 => text.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => text.push(byte),
        }
    }
    text.push(b'"');
}

fn write_table(table: &Table, level: usize, text: &mut Vec<u8>) -> Result<(), String> {
    let pairs: Vec<(Value, Value)> =
        table.pairs().collect::<mlua::Result<_>>().map_err(|error| error.to_string())?;
    let Some(length) = list_length(&pairs)? else { return write_object(&pairs, level, text) };
    text.push(b'[');
    for at in 1..=length {
        if at > 1 {
            text.push(b',');
        }
        let item: Value = table.raw_get(at).map_err(|error| error.to_string())?;
        write(&item, level, text)?;
    }
    text.push(b']');
    Ok(())
}

/// The length of a list; `None` for what is written as an object, the empty table among them.
fn list_length(pairs: &[(Value, Value)]) -> Result<Option<usize>, String> {
    let mut length = 0;
    for (key, _) in pairs {
        match key {
            Value::Integer(at @ 1..) => {
                length = length.max(usize::try_from(*at).expect("positive"));
            }
            _ => return Ok(None),
        }
    }
    if length > SPARSE_FROM && length > pairs.len() * SPARSE_RATIO {
        return Err("Cannot serialise table: excessively sparse array".to_owned());
    }
    Ok(Some(length).filter(|length| *length > 0))
}

fn write_object(pairs: &[(Value, Value)], level: usize, text: &mut Vec<u8>) -> Result<(), String> {
    text.push(b'{');
    for (at, (key, value)) in pairs.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        match key {
            Value::String(name) => write_string(&name.as_bytes(), text),
            Value::Integer(_) | Value::Number(_) => {
                text.push(b'"');
                write(key, level, text)?;
                text.push(b'"');
            }
            _ => return Err("Cannot serialise table: table key must be a number or string".to_owned()),
        }
        text.push(b':');
        write(value, level, text)?;
    }
    text.push(b'}');
    Ok(())
}
