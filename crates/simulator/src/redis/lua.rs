//! Runs scripts in Lua 5.1, the version that Redis embeds.
//!
//! Each thread has one Lua state, in which it compiles each script once. A script works on the
//! keyspace itself: what it wrote before it fails stays written, as in Redis.

use super::cjson;
use super::commands::{self, Refused};
use super::data::Keyspace;
use super::reply::{Fault, Reply, format_general};
use mlua::{Function, IntoLua, Lua, LuaOptions, LuaString, MultiValue, StdLib, Table, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// The name of every script in the texts of errors.
const CHUNK: &str = "@user_script";
/// How many frames above an error are searched for the script: more than any error of ours has.
const MOST_FRAMES: usize = 32;

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::new(Engine::new().expect("Lua starts, and the prelude compiles"));
}

/// The hash of a script and its text, shared, if it compiles.
pub(super) fn compile(text: &str) -> Result<(Arc<str>, Arc<str>), Fault> {
    ENGINE.with_borrow_mut(|engine| engine.compile(text))
}

/// Runs a script that has compiled, on this or on another thread.
pub(super) fn run(
    keyspace: &mut Keyspace,
    hash: &str,
    text: &str,
    keys: &[&[u8]],
    arguments: &[&[u8]],
) -> Reply {
    ENGINE.with_borrow_mut(|engine| engine.run(keyspace, hash, text, keys, arguments))
}

struct Engine {
    lua: Lua,
    globals: Table,
    /// Takes a script; returns whether it succeeded, and its result or its error.
    protect: Function,
    /// Text → hash.
    hashes: BTreeMap<Arc<str>, Arc<str>>,
    /// Hash → script.
    scripts: BTreeMap<Arc<str>, Function>,
    /// The data of the server whose script is running.
    keyspace: Rc<RefCell<Keyspace>>,
}

impl Engine {
    fn new() -> mlua::Result<Self> {
        let lua = Lua::new_with(StdLib::MATH | StdLib::STRING | StdLib::TABLE, LuaOptions::default())?;
        let keyspace = Rc::new(RefCell::new(Keyspace::default()));
        let rust = lua.create_table()?;
        let data = Rc::clone(&keyspace);
        let raising = move |lua: &Lua, words| match call(&mut data.borrow_mut(), &words) {
            Reply::Error(text) => Err(mlua::Error::runtime(text)),
            reply => to_lua(lua, reply),
        };
        rust.set("call", lua.create_function(raising)?)?;
        let data = Rc::clone(&keyspace);
        let quiet = move |lua: &Lua, words| to_lua(lua, call(&mut data.borrow_mut(), &words));
        rust.set("pcall", lua.create_function(quiet)?)?;
        rust.set("null", Value::NULL)?;
        let decode = |lua: &Lua, text| cjson::decode(lua, &text).map_err(|what| at_line(lua, &what));
        rust.set("decode", lua.create_function(decode)?)?;
        let encode = |lua: &Lua, value| cjson::encode(lua, &value).map_err(|what| at_line(lua, &what));
        rust.set("encode", lua.create_function(encode)?)?;
        rust.set("text", lua.create_function(|_, error| Ok(error_text(&error)))?)?;
        rust.set("line", lua.create_function(|lua, ()| Ok(script_line(lua)))?)?;
        let protect = lua.load(include_str!("prelude.lua")).set_name("=prelude").call(rust)?;
        let globals = lua.globals();
        Ok(Self { lua, globals, protect, hashes: BTreeMap::new(), scripts: BTreeMap::new(), keyspace })
    }

    fn compile(&mut self, text: &str) -> Result<(Arc<str>, Arc<str>), Fault> {
        if let Some((text, hash)) = self.hashes.get_key_value(text) {
            return Ok((hash.clone(), text.clone()));
        }
        let hash: Arc<str> = redis::Script::new(text).get_hash().into();
        let function = self.lua.load(text).set_name(CHUNK).into_function().map_err(|error| {
            let reason = match error {
                mlua::Error::SyntaxError { message, .. } => message,
                other => other.to_string(),
            };
            Fault(format!("ERR Error compiling script (new function): {reason}").into())
        })?;
        let text: Arc<str> = text.into();
        self.scripts.insert(hash.clone(), function);
        self.hashes.insert(text.clone(), hash.clone());
        Ok((hash, text))
    }

    fn run(
        &mut self,
        keyspace: &mut Keyspace,
        hash: &str,
        text: &str,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> Reply {
        if !self.scripts.contains_key(hash) {
            self.compile(text).expect("it compiled on another thread");
        }
        std::mem::swap(keyspace, &mut self.keyspace.borrow_mut());
        let result = self.protected(hash, keys, arguments);
        std::mem::swap(keyspace, &mut self.keyspace.borrow_mut());
        let failed = |what: String| Reply::Error(format!("ERR Error running script {hash}, {what}"));
        match result {
            Ok((true, value)) => to_reply(&value),
            Ok((false, Value::Table(error))) => error_reply(hash, &error),
            Ok((false, _)) => failed("execution failure".to_owned()),
            Err(error) => failed(error.to_string()),
        }
    }

    fn protected(&self, hash: &str, keys: &[&[u8]], arguments: &[&[u8]]) -> mlua::Result<(bool, Value)> {
        self.globals.raw_set("KEYS", self.list(keys)?)?;
        self.globals.raw_set("ARGV", self.list(arguments)?)?;
        self.protect.call(&self.scripts[hash])
    }

    fn list(&self, words: &[&[u8]]) -> mlua::Result<Table> {
        self.lua.create_sequence_from(words.iter().map(LuaString::wrap))
    }
}

/// What `redis.call` does.
fn call(keyspace: &mut Keyspace, words: &MultiValue) -> Reply {
    let error = |text: &str| Reply::Error(format!("ERR {text}"));
    if words.is_empty() {
        return error("Please specify at least one argument for this redis lib call");
    }
    let mut texts = Vec::with_capacity(words.len());
    for word in words {
        texts.push(match word {
            Value::String(text) => Text::Shared(text.as_bytes()),
            Value::Integer(number) => Text::Own(number_text(to_double(*number))),
            Value::Number(number) => Text::Own(number_text(*number)),
            _ => return error("Lua redis lib command arguments must be strings or integers"),
        });
    }
    let words: Vec<&[u8]> = texts.iter().map(Text::bytes).collect();
    match commands::find(&words) {
        Ok(handler) => handler(keyspace, &words).into(),
        Err(Refused::WrongArity(_)) => error("Wrong number of args calling Redis command from script"),
        Err(Refused::Unknown) if is_forbidden(words[0]) => {
            error("This Redis command is not allowed from script")
        }
        Err(Refused::Unknown) => error("Unknown Redis command called from script"),
    }
}

fn is_forbidden(name: &[u8]) -> bool {
    ["EVAL", "EVALSHA", "SCRIPT", "MULTI", "EXEC"]
        .iter()
        .any(|word| name.eq_ignore_ascii_case(word.as_bytes()))
}

enum Text {
    Shared(mlua::BorrowedBytes),
    Own(Vec<u8>),
}

impl Text {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a whole number of Lua 5.1 is a double")]
pub(super) fn to_double(number: mlua::Integer) -> f64 {
    number as f64
}

fn number_text(number: f64) -> Vec<u8> {
    format_general(number, 17).into_bytes()
}

/// What a function written in Rust raised.
fn error_text(error: &Value) -> String {
    let Value::Error(error) = error else { return "ERR an object was raised".to_owned() };
    let mut error = &**error;
    while let mlua::Error::CallbackError { cause, .. } = error {
        error = cause;
    }
    match error {
        mlua::Error::RuntimeError(text) => text.clone(),
        other => format!("ERR {other}"),
    }
}

/// An error of a library, with its place as Lua writes it.
fn at_line(lua: &Lua, what: &str) -> mlua::Error {
    let place = script_line(lua).map(|line| format!("user_script:{line}: ")).unwrap_or_default();
    mlua::Error::runtime(format!("ERR {place}{what}"))
}

/// The line of the script in whose call the running function was reached.
fn script_line(lua: &Lua) -> Option<usize> {
    (1..MOST_FRAMES).find_map(|level| {
        lua.inspect_stack(level, |frame| {
            let is_script = frame.source().source.as_deref() == Some(CHUNK);
            frame.current_line().filter(|_| is_script)
        })
        .flatten()
    })
}

/// A reply as a script sees it.
fn to_lua(lua: &Lua, reply: Reply) -> mlua::Result<Value> {
    let single = |field: &str, text: &str| {
        let table = lua.create_table_with_capacity(0, 1)?;
        table.raw_set(field, text)?;
        Ok(Value::Table(table))
    };
    match reply {
        Reply::Nil => Ok(Value::Boolean(false)),
        Reply::Integer(integer) => integer.into_lua(lua),
        Reply::Bulk(bytes) => Ok(Value::String(lua.create_string(bytes)?)),
        Reply::Status(word) => single("ok", &word),
        Reply::Error(text) => single("err", &text),
        Reply::Array(items) => {
            let items: Vec<Value> =
                items.into_iter().map(|item| to_lua(lua, item)).collect::<mlua::Result<_>>()?;
            Ok(Value::Table(lua.create_sequence_from(items)?))
        }
    }
}

/// What a script returned as a client sees it.
fn to_reply(value: &Value) -> Reply {
    match value {
        Value::String(text) => Reply::bulk(&*text.as_bytes()),
        Value::Integer(number) => Reply::Integer(truncate(to_double(*number))),
        Value::Number(number) => Reply::Integer(truncate(*number)),
        Value::Boolean(true) => Reply::Integer(1),
        Value::Table(table) => table_to_reply(table),
        _ => Reply::Nil,
    }
}

/// As a conversion to `long long` on x86 does it.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn truncate(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) { number as i64 } else { i64::MIN }
}

fn table_to_reply(table: &Table) -> Reply {
    let field = |name: &str| match table.raw_get(name) {
        Ok(Value::String(text)) => Some(text.to_string_lossy()),
        _ => None,
    };
    if let Some(text) = field("err") {
        return Reply::Error(text);
    }
    if let Some(word) = field("ok") {
        return Reply::Status(word.into());
    }
    let values = table.sequence_values::<Value>();
    Reply::Array(values.map_while(Result::ok).map(|value| to_reply(&value)).collect())
}

fn error_reply(hash: &str, error: &Table) -> Reply {
    let text: Option<LuaString> = error.raw_get("text").ok();
    let text = text.map_or_else(|| "ERR unknown error".to_owned(), |text| text.to_string_lossy());
    let line: Option<usize> = error.raw_get("line").unwrap_or(None);
    let place = line.map(|line| format!(" script: {hash}, on {CHUNK}:{line}.")).unwrap_or_default();
    Reply::Error(format!("{text}{place}"))
}
