//! What scripts see and what becomes of their results.

use crate::live::{Live, value_of};
use redis::Value;
use simulator::redis::{Command, Server};

/// A script, which may use the string `KEYS[1]` and the absent `KEYS[2]`, and its result.
const CASES: &[(&str, &str)] = &[
    // Lua → Redis.
    ("return 3.99", "3"),
    ("return -3.99", "-3"),
    ("return 1/0", "-9223372036854775808"),
    ("return -1e300", "-9223372036854775808"),
    ("return 0/0", "-9223372036854775808"),
    ("return 9007199254740993", "9007199254740992"),
    ("return true", "1"),
    ("return false", "nil"),
    ("return nil", "nil"),
    ("return", "nil"),
    ("return function() end", "nil"),
    ("return cjson.null", "nil"),
    ("return 'a\\0b'", "'a\\0b'"),
    ("return {}", "[]"),
    ("return {1,2.7,nil,3}", "[1 2]"),
    ("return {false,true,'x',{1,{'y'}}}", "[nil 1 'x' [1 ['y']]]"),
    ("return {ok='fine'}", "fine"),
    ("return {ok='OK'}", "OK"),
    ("return {err='bad'}", "!bad"),
    ("return {err='ERR bad thing', 1, 2}", "!ERR bad thing"),
    ("return {a=1}", "[]"),
    ("return {{ok='fine'},{err='MY thing'}}", "[fine !MY thing]"),
    ("return redis.error_reply('bad thing')", "!bad thing"),
    ("return redis.error_reply('-MY thing')", "!MY thing"),
    ("return redis.status_reply('fine thing')", "fine thing"),
    ("return redis.error_reply(1)", "!ERR wrong number or type of arguments"),
    // Redis → Lua.
    ("return type(redis.call('GET', KEYS[2]))", "'boolean'"),
    ("return type(redis.call('INCRBYNOT'))", "!ERR Unknown Redis command called from script @"),
    ("return {type(redis.call('EXISTS', KEYS[1])), type(redis.call('GET', KEYS[1]))}", "['number' 'string']"),
    ("return redis.call('PING').ok", "'PONG'"),
    ("return redis.call('PING')", "PONG"),
    (
        "local e = redis.pcall('HGET', KEYS[1], 'x') return {type(e), e.err}",
        "['table' 'WRONGTYPE Operation against a key holding the wrong kind of value']",
    ),
    (
        "local ok, e = pcall(redis.call, 'HGET', KEYS[1], 'x') return {tostring(ok), e}",
        "['false' 'WRONGTYPE Operation against a key holding the wrong kind of value']",
    ),
    ("local ok, e = pcall(error, {err='ERR mine'}) return e", "'ERR mine'"),
    ("local ok, e = pcall(error, {other='ERR mine'}) return type(e)", "'table'"),
    ("return {pcall(function() return 1, 2 end)}", "[1 1 2]"),
    ("return redis.call('HMGET', KEYS[2], 'a', 'b')", "[nil nil]"),
    ("return #redis.call('HMGET', KEYS[2], 'a', 'b')", "2"),
    (
        "return redis.pcall('HGET', KEYS[1], 'x')",
        "!WRONGTYPE Operation against a key holding the wrong kind of value",
    ),
    // Numbers as arguments.
    ("redis.call('SET', KEYS[1], 3.5) return redis.call('GET', KEYS[1])", "'3.5'"),
    ("redis.call('SET', KEYS[1], 0.1) return redis.call('GET', KEYS[1])", "'0.10000000000000001'"),
    ("redis.call('SET', KEYS[1], 1e20) return redis.call('GET', KEYS[1])", "'1e+20'"),
    ("redis.call('SET', KEYS[1], 2^53 + 2) return redis.call('GET', KEYS[1])", "'9007199254740994'"),
    (
        "redis.call('SET', KEYS[1], 123456789012345678) return redis.call('GET', KEYS[1])",
        "'1.2345678901234568e+17'",
    ),
    ("redis.call('SET', KEYS[1], 1/0) return redis.call('GET', KEYS[1])", "'inf'"),
    (
        "return redis.call('SET', KEYS[1], {})",
        "!ERR Lua redis lib command arguments must be strings or integers @",
    ),
    (
        "return redis.call('SET', KEYS[1], true)",
        "!ERR Lua redis lib command arguments must be strings or integers @",
    ),
    // Lua itself.
    ("return _VERSION", "'Lua 5.1'"),
    ("return {math.frexp(-8), select(2, math.frexp(-8)), select(2, math.frexp(0))}", "[0 4 0]"),
    (
        "return tostring(2^53) .. ' ' .. tostring(1e15) .. ' ' .. tostring(-0.1)",
        "'9.007199254741e+15 1e+15 -0.1'",
    ),
    ("return string.format('%.17g %d %s', 0.3, 12, 'x')", "'0.29999999999999999 12 x'"),
    ("return {unpack({1, 2, 3})}", "[1 2 3]"),
    ("return {#KEYS, #ARGV, ARGV[1]}", "[2 1 'argument']"),
    ("return tonumber(' 0x10 ')", "16"),
    // Errors.
    ("error('boom')", "!ERR user_script:1: boom @"),
    ("\nerror({err='MY boom'})", "!MY boom @"),
    ("return foo", "!ERR user_script:1: Script attempted to access nonexistent global variable 'foo' @"),
    ("foo = 1", "!ERR user_script:1: Attempt to modify a readonly table @"),
    (
        "\nlocal function f() return nil + 1 end\nf()",
        "!ERR user_script:2: attempt to perform arithmetic on a nil value @",
    ),
    (
        "return redis.call('HGET', KEYS[1], 'x')",
        "!WRONGTYPE Operation against a key holding the wrong kind of value @",
    ),
    ("\n\nredis.call('GET')", "!ERR Wrong number of args calling Redis command from script @"),
    ("redis.call()", "!ERR Please specify at least one argument for this redis lib call @"),
    ("return redis.pcall()", "!ERR Please specify at least one argument for this redis lib call"),
    ("return redis.call('EVAL', 'return 1', 0)", "!ERR This Redis command is not allowed from script @"),
    ("return redis.call('ZADD', KEYS[2], 'x', 'm')", "!ERR value is not a valid float @"),
    ("x x", "!ERR Error compiling script (new function): user_script:1: '=' expected near 'x'"),
    // JSON.
    ("return cjson.encode({1, 2, {a=1.5}})", "'[1,2,{\"a\":1.5}]'"),
    ("return cjson.encode({})", "'{}'"),
    ("return cjson.encode({[1]=1, [3]=3})", "'[1,null,3]'"),
    ("return cjson.encode({[1.5]=1})", "'{\"1.5\":1}'"),
    (
        "return cjson.encode({true, cjson.null, 'a/b\"\\\\\\n\\127é'})",
        "'[true,null,\"a\\/b\\\"\\\\\\n\\u007fé\"]'",
    ),
    ("return cjson.encode(2^53)", "'9.007199254741e+15'"),
    ("return cjson.encode(0/0)", "!ERR user_script:1: Cannot serialise number: must not be NaN or Inf @"),
    (
        "return cjson.encode({f=function() end})",
        "!ERR user_script:1: Cannot serialise function: type not supported @",
    ),
    (
        "return cjson.encode({[1]=1, [30]=2})",
        "!ERR user_script:1: Cannot serialise table: excessively sparse array @",
    ),
    (
        "local v = cjson.decode('{\"a\":[1,2.5,null,true],\"b\":\"\\\\u00e9\"}') return {v.a[1], tostring(v.a[2]), tostring(v.a[3] == cjson.null), v.a[4], v.b}",
        "[1 '2.5' 'true' 1 'é']",
    ),
    ("return {pcall(cjson.decode, '{')}", "[nil …"),
];

#[test]
fn scripts_convert_and_fail_as_in_redis() {
    let keys = |prefix: &str| [format!("{prefix}:there"), format!("{prefix}:absent")];
    let mut server = Server::default();
    let mut live = Live::new();
    for (script, expected) in CASES {
        let [there, absent] = keys(live.as_ref().map_or("model", |live| &live.prefix));
        let set = Command::of(["SET", &there, "1"]);
        let eval = Command::of(["EVAL", script, "2", &there, &absent, "argument"]);
        value_of(&mut server, &set);
        let model = value_of(&mut server, &eval);
        if let Some(expected) = expected.strip_suffix('…') {
            assert!(text(&model).starts_with(expected.trim()), "{script}: {}", text(&model));
            continue;
        }
        assert_eq!(&text(&model), expected, "{script}");
        if let Some(live) = &mut live {
            let real = live.execute(&[set, eval.clone()]).pop().unwrap();
            live.compare(&eval, &model, &real).unwrap();
        }
    }
}

/// A value in brief; the hash and the line of a script are left out.
fn text(value: &Value) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Int(integer) => integer.to_string(),
        Value::BulkString(bytes) => format!("'{}'", String::from_utf8_lossy(bytes).replace('\0', "\\0")),
        Value::Okay => "OK".to_owned(),
        Value::SimpleString(word) => word.clone(),
        Value::ServerError(error) => {
            let detail = error.details().map(|detail| format!(" {detail}")).unwrap_or_default();
            let all = format!("!{}{detail}", error.code());
            match all.split_once(" script: ") {
                Some((text, place)) => {
                    assert!(place.contains(", on @user_script:"), "{place}");
                    format!("{text} @")
                }
                None => all,
            }
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(text).collect();
            format!("[{}]", items.join(" "))
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn script_that_fails_midway_keeps_what_it_wrote() {
    let script = "redis.call('SET', KEYS[1], 'written') redis.call('HGET', KEYS[1], 'x') \
                  redis.call('SET', KEYS[1], 'not reached')";
    let mut server = Server::default();
    let mut live = Live::new();
    let key = live.as_ref().map_or("model", |live| &live.prefix).to_owned();
    let commands = [Command::of(["EVAL", script, "1", &key]), Command::of(["GET", &key])];
    let model = commands.clone().map(|command| value_of(&mut server, &command));
    assert!(matches!(model[0], Value::ServerError(_)));
    assert_eq!(model[1], Value::BulkString(b"written".into()));
    if let Some(live) = &mut live {
        let real = live.execute(&commands);
        assert_eq!(model.as_slice(), real);
    }
}
