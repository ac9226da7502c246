//! The server: data, scripts it was taught, a clock that its owner sets.

use super::command::Command;
use super::commands::{self, Refused};
use super::data::Keyspace;
use super::lua;
use super::reply::{Fault, Reply};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A server without connections: commands in, replies out. Clones are independent.
#[derive(Clone, Debug, Default)]
pub struct Server {
    keyspace: Keyspace,
    /// SHA-1 → text.
    scripts: BTreeMap<Arc<str>, Arc<str>>,
    /// How many processes there were before this one.
    process: u64,
}

impl Server {
    /// The data.
    #[must_use]
    pub fn keyspace(&self) -> &Keyspace {
        &self.keyspace
    }

    /// The model's clock, by which keys expire.
    pub fn set_now_ms(&mut self, now_ms: i64) {
        self.keyspace.set_now_ms(now_ms);
    }

    /// Comes back as a new process with the data of `keyspace`, such as an older copy: the clock
    /// goes on, the scripts are forgotten.
    pub fn restart(&mut self, keyspace: Keyspace) {
        let now_ms = self.keyspace.now_ms();
        *self = Self { keyspace, scripts: BTreeMap::new(), process: self.process + 1 };
        self.set_now_ms(now_ms);
    }

    /// Forgets the scripts, as `SCRIPT FLUSH` and fail-overs do.
    pub fn forget_scripts(&mut self) {
        self.scripts.clear();
    }

    /// Does one command. Apart from what the module `commands` lists: `EVAL`, `EVALSHA`,
    /// `SCRIPT LOAD | EXISTS | FLUSH`, `INFO`.
    pub fn execute(&mut self, words: &[&[u8]]) -> Reply {
        let upper: Vec<u8> = words.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        let scripting = match upper.as_slice() {
            b"EVAL" => Self::eval,
            b"EVALSHA" => Self::evalsha,
            b"SCRIPT" => Self::script,
            b"INFO" => return Reply::bulk(self.info().as_bytes()),
            _ => return self.execute_on_data(words),
        };
        if Self::is_refused(words) {
            let name = String::from_utf8_lossy(&upper).into_owned();
            return Err(Fault::wrong_arity(&name)).into();
        }
        scripting(self, words).into()
    }

    /// Does the commands of a `MULTI` … `EXEC` at once; none of them if one cannot be tried.
    pub fn transaction(&mut self, commands: &[Command]) -> Reply {
        if commands.iter().any(|command| Self::is_refused(&command.words())) {
            return Reply::Error("EXECABORT Transaction discarded because of previous errors.".to_owned());
        }
        Reply::Array(commands.iter().map(|command| self.execute(&command.words())).collect())
    }

    /// Who the server is, and nothing else of what a real one tells.
    fn info(&self) -> String {
        format!("# Server\r\nrun_id:{:040x}\r\n", self.process)
    }

    fn execute_on_data(&mut self, words: &[&[u8]]) -> Reply {
        match commands::find(words) {
            Ok(handler) => handler(&mut self.keyspace, words).into(),
            Err(Refused::WrongArity(name)) => Err(Fault::wrong_arity(name)).into(),
            Err(Refused::Unknown) if words.is_empty() => Err(Fault::of("ERR unknown command")).into(),
            Err(Refused::Unknown) => Err(commands::unknown(words)).into(),
        }
    }

    fn is_refused(words: &[&[u8]]) -> bool {
        match words.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default().as_slice() {
            b"EVAL" | b"EVALSHA" => !commands::suits(-3, words.len()),
            b"SCRIPT" => !commands::suits(-2, words.len()),
            _ => commands::find(words).is_err(),
        }
    }

    fn eval(&mut self, words: &[&[u8]]) -> Result<Reply, Fault> {
        let (keys, arguments) = keys_and_arguments(words)?;
        let (hash, text) = self.learn(words[1])?;
        Ok(lua::run(&mut self.keyspace, &hash, &text, keys, arguments))
    }

    fn evalsha(&mut self, words: &[&[u8]]) -> Result<Reply, Fault> {
        let (keys, arguments) = keys_and_arguments(words)?;
        let found = str::from_utf8(words[1])
            .ok()
            .and_then(|hash| self.scripts.get_key_value(hash.to_ascii_lowercase().as_str()));
        let (hash, text) = found.ok_or(Fault::of("NOSCRIPT No matching script. Please use EVAL."))?;
        Ok(lua::run(&mut self.keyspace, hash, text, keys, arguments))
    }

    fn script(&mut self, words: &[&[u8]]) -> Result<Reply, Fault> {
        match (words[1].to_ascii_uppercase().as_slice(), &words[2..]) {
            (b"LOAD", [text]) => {
                let (hash, _) = self.learn(text)?;
                Ok(Reply::bulk(hash.as_bytes()))
            }
            (b"EXISTS", hashes @ [_, ..]) => {
                let is_known = |hash: &&[u8]| {
                    let hash = String::from_utf8_lossy(hash).to_lowercase();
                    Reply::flag(self.scripts.contains_key(hash.as_str()))
                };
                Ok(Reply::Array(hashes.iter().map(is_known).collect()))
            }
            (b"FLUSH", [] | [_]) => {
                self.forget_scripts();
                Ok(Reply::OK)
            }
            _ => Err(Fault::not_modelled(&words[..2].join(&b' '))),
        }
    }

    /// Takes the script in, if it compiles.
    fn learn(&mut self, text: &[u8]) -> Result<(Arc<str>, Arc<str>), Fault> {
        let text = str::from_utf8(text).map_err(|_| Fault::not_modelled(b"a script that is not UTF-8"))?;
        let (hash, text) = lua::compile(text)?;
        if !self.scripts.contains_key(&hash) {
            self.scripts.insert(hash.clone(), text.clone());
        }
        Ok((hash, text))
    }
}

/// `… numkeys key … argument …`
type Operands<'a> = &'a [&'a [u8]];

fn keys_and_arguments<'a>(words: Operands<'a>) -> Result<(Operands<'a>, Operands<'a>), Fault> {
    let count = commands::integer(words[2])?;
    let operands = &words[3..];
    let count = usize::try_from(count).map_err(|_| Fault::of("ERR Number of keys can't be negative"))?;
    if count > operands.len() {
        return Err(Fault::of("ERR Number of keys can't be greater than number of args"));
    }
    Ok(operands.split_at(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execute(server: &mut Server, text: &str) -> Reply {
        server.execute(&text.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    fn bulk(text: &str) -> Reply {
        Reply::bulk(text.as_bytes())
    }

    #[test]
    fn keys_are_gone_when_their_time_has_come() {
        let mut server = Server::default();
        server.set_now_ms(1_000_000);
        assert_eq!(execute(&mut server, "SET a 1 PX 1500"), Reply::OK);
        assert_eq!(execute(&mut server, "SET a 2 NX"), Reply::Nil);
        assert_eq!(execute(&mut server, "SADD s x"), Reply::Integer(1));
        assert_eq!(execute(&mut server, "EXPIRE s 1"), Reply::Integer(1));
        assert_eq!(execute(&mut server, "TTL a"), Reply::Integer(2));
        assert_eq!(execute(&mut server, "PTTL s"), Reply::Integer(1000));
        server.set_now_ms(1_001_000);
        assert_eq!(execute(&mut server, "EXISTS a s"), Reply::Integer(1));
        // What comes after stays for good.
        assert_eq!(execute(&mut server, "SADD s y"), Reply::Integer(1));
        assert_eq!(execute(&mut server, "SMEMBERS s"), Reply::Array(vec![bulk("y")]));
        assert_eq!(execute(&mut server, "TTL s"), Reply::Integer(-1));
        server.set_now_ms(1_001_500);
        assert_eq!(execute(&mut server, "GET a"), Reply::Nil);
        assert_eq!(server.keyspace().iter().count(), 1);
    }

    #[test]
    fn older_copy_stays_as_it_was_and_can_come_back() {
        let mut server = Server::default();
        execute(&mut server, "ZADD b 1 x");
        let hash = execute(&mut server, "SCRIPT LOAD return(1)");
        let Reply::Bulk(hash) = hash else { panic!("{hash:?}") };
        let evalsha = [b"EVALSHA".as_slice(), &hash, b"0"];
        let copy = server.keyspace().clone();
        execute(&mut server, "ZADD b 2 x 3 y");
        server.set_now_ms(7);
        assert_eq!(server.execute(&evalsha), Reply::Integer(1));
        server.restart(copy);
        assert_eq!(
            execute(&mut server, "ZRANGE b 0 -1 WITHSCORES"),
            Reply::Array(vec![bulk("x"), bulk("1")])
        );
        assert!(matches!(server.execute(&evalsha), Reply::Error(text) if text.starts_with("NOSCRIPT ")));
        assert_eq!(server.keyspace().now_ms(), 7);
    }

    #[test]
    fn script_taught_on_one_thread_runs_on_another() {
        let mut server = Server::default();
        let Reply::Bulk(hash) = execute(&mut server, "SCRIPT LOAD return(2)") else { panic!() };
        let there = std::thread::spawn(move || server.execute(&[b"EVALSHA", &hash, b"0"]));
        assert_eq!(there.join().unwrap(), Reply::Integer(2));
    }

    #[test]
    fn flushall_takes_the_data_and_leaves_the_scripts() {
        let mut server = Server::default();
        execute(&mut server, "SET a 1");
        let Reply::Bulk(hash) = execute(&mut server, "SCRIPT LOAD return(1)") else { panic!() };
        assert_eq!(execute(&mut server, "FLUSHALL"), Reply::OK);
        assert_eq!(execute(&mut server, "EXISTS a"), Reply::Integer(0));
        assert_eq!(server.execute(&[b"EVALSHA", &hash, b"0"]), Reply::Integer(1));
    }

    #[test]
    fn transaction_with_a_command_that_cannot_be_tried_does_nothing() {
        let mut server = Server::default();
        let commands = [Command::of(["SET", "a", "1"]), Command::of(["GET"])];
        assert!(
            matches!(server.transaction(&commands), Reply::Error(text) if text.starts_with("EXECABORT "))
        );
        let commands = [Command::of(["SET", "a", "1"]), Command::of(["HGET", "a", "b"])];
        let Reply::Array(replies) = server.transaction(&commands) else { panic!() };
        assert!(matches!(replies.as_slice(), [Reply::Status(_), Reply::Error(_)]));
    }
}
