//! The ports of a stack, and who holds the others.

use anyhow::bail;
use free_ports::Reserved;
use std::collections::BTreeMap;
use std::path::Path;

/// The ports of a stack, remembered from start to start, and no other stack's as long as this lives.
#[derive(Debug, Default)]
pub struct Ports {
    known: BTreeMap<String, u16>,
    reserved: BTreeMap<u16, Reserved>,
}

impl Ports {
    /// Those that were used last.
    #[must_use]
    pub fn load(file: &Path) -> Self {
        let known = std::fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { known: known.unwrap_or_default(), reserved: BTreeMap::new() }
    }

    /// Remembers them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, file: &Path) -> anyhow::Result<()> {
        Ok(std::fs::write(file, serde_json::to_vec_pretty(&self.known)?)?)
    }

    /// The port of `name`: the last one if it is still free, else `preferred` if that is, else any.
    ///
    /// # Errors
    /// When there is none.
    pub fn pick(&mut self, name: &str, preferred: Option<u16>) -> anyhow::Result<u16> {
        let last = self.known.get(name).copied();
        let others: Vec<u16> =
            self.known.iter().filter(|(other, _)| *other != name).map(|(_, port)| *port).collect();
        let wanted = [last, preferred].into_iter().flatten();
        let wanted = wanted.filter(|port| !others.contains(port)).find(|port| self.reserve(*port));
        let port = match wanted {
            Some(port) => port,
            None => self.reserve_any(&others)?,
        };
        if let Some(last) = last.filter(|last| *last != port) {
            println!("{name}: port {last} is taken by {}; using {port}", holder(last));
        }
        self.known.insert(name.to_owned(), port);
        Ok(port)
    }

    /// Whether the port is free, and ours from now on.
    fn reserve(&mut self, port: u16) -> bool {
        if !self.reserved.contains_key(&port) {
            self.reserved.extend(Reserved::of(port).map(|reserved| (port, reserved)));
        }
        self.reserved.contains_key(&port)
    }

    /// A port that is free and none of `others`, and ours from now on.
    fn reserve_any(&mut self, others: &[u16]) -> anyhow::Result<u16> {
        // Held until another is found, so that each is met once.
        let mut passed = Vec::new();
        loop {
            let reserved = Reserved::any()?;
            let port = reserved.port();
            if !others.contains(&port) {
                self.reserved.insert(port, reserved);
                return Ok(port);
            }
            passed.push(reserved);
        }
    }

    /// Exactly this port for `name`.
    ///
    /// # Errors
    /// When it is taken, naming who holds it.
    pub fn insist(&mut self, name: &str, port: u16) -> anyhow::Result<u16> {
        if !self.reserve(port) {
            bail!("{name}: port {port} is taken by {}; give another with --port", holder(port));
        }
        self.known.insert(name.to_owned(), port);
        Ok(port)
    }
}

/// Who listens on a loopback port, as far as this user may know.
#[must_use]
pub fn holder(port: u16) -> String {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let text = std::fs::read_to_string(table).ok()?;
        text.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let listens = *fields.get(3)? == "0A";
            let local = u16::from_str_radix(fields.get(1)?.rsplit_once(':')?.1, 16).ok()?;
            (listens && local == port).then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))?
        })
    });
    let Some(inode) = inode else { return "another process".to_owned() };
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_pid = |name: std::ffi::OsString| name.to_string_lossy().parse::<u32>().is_ok();
    for process in processes.filter(|process| is_pid(process.file_name())) {
        let descriptors = std::fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        for descriptor in descriptors {
            if std::fs::read_link(descriptor.path()).is_ok_and(|link| link.as_os_str() == inode.as_str()) {
                let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return format!("{} (pid {})", name.trim(), process.file_name().to_string_lossy());
            }
        }
    }
    "another user's process".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn taken_port_is_named_with_its_holder_and_another_is_picked() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = listener.local_addr().unwrap().port();
        let mut ports = Ports::default();
        let error = ports.insist("controller", taken).unwrap_err().to_string();
        assert!(
            error.contains(&taken.to_string()) && error.contains(&std::process::id().to_string()),
            "{error}"
        );
        assert_ne!(ports.pick("controller", Some(taken)).unwrap(), taken);
    }

    #[test]
    fn two_stacks_that_start_at_once_choose_different_ports() {
        let (mut one, mut other) = (Ports::default(), Ports::default());
        let port = Reserved::any().unwrap().port();
        assert_eq!(one.pick("controller", Some(port)).unwrap(), port);
        assert_ne!(other.pick("controller", Some(port)).unwrap(), port);
        assert!(other.insist("controller", port).is_err());
        assert_eq!(one.insist("controller", port).unwrap(), port);
    }

    #[test]
    fn ports_are_kept_from_start_to_start_and_never_shared() {
        let file = std::env::temp_dir().join(format!("rankstream-ports-{}.json", std::process::id()));
        let mut ports = Ports::default();
        let first = ports.pick("kafka", None).unwrap();
        ports.save(&file).unwrap();
        drop(ports);
        let mut again = Ports::load(&file);
        assert_eq!(again.pick("kafka", None).unwrap(), first);
        assert_ne!(again.pick("redis", Some(first)).unwrap(), first);
        std::fs::remove_file(file).unwrap();
    }
}
