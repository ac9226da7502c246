//! What this machine has, and how to get what it lacks.

use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Something that is needed from the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// What it is.
    pub(crate) name: &'static str,
    /// What it is for.
    pub(crate) purpose: &'static str,
    /// Debian's packages that bring it.
    pub(crate) packages: &'static [&'static str],
    /// What is there: a version or a path, or why it does not do.
    check: fn() -> Result<String, String>,
}

impl Need {
    /// What is there, or why it does not do.
    ///
    /// # Errors
    /// When it is missing or too old.
    pub(crate) fn check(&self) -> Result<String, String> {
        (self.check)()
    }
}

/// To build the programs.
pub(crate) const BUILD: [Need; 3] = [
    Need {
        name: "C compiler",
        purpose: "building librdkafka",
        packages: &["build-essential"],
        check: || found("cc").and(found("c++")).and(found("make")),
    },
    Need {
        name: "OpenSSL headers",
        purpose: "building librdkafka with TLS",
        packages: &["libssl-dev", "pkg-config"],
        check: || output("pkg-config", &["--modversion", "openssl"]),
    },
    Need {
        name: "zlib headers",
        purpose: "building librdkafka",
        packages: &["zlib1g-dev", "pkg-config"],
        check: || output("pkg-config", &["--modversion", "zlib"]),
    },
];

/// To run the servers as own processes.
pub(crate) const LOCAL: [Need; 4] = [
    Need {
        name: "Java",
        purpose: "running Kafka (17 or newer)",
        packages: &["openjdk-17-jre-headless"],
        check: || at_least(&output("java", &["-version"])?, 17),
    },
    Need {
        name: "Maven",
        purpose: "fetching Kafka",
        packages: &["maven"],
        check: || output("mvn", &["--version"]),
    },
    Need {
        name: "redis-server",
        purpose: "the boards (7.0 or newer)",
        packages: &["redis-server"],
        check: || at_least(&output("redis-server", &["--version"])?, 7),
    },
    Need {
        name: "PostgreSQL",
        purpose: "the archive (15 or newer)",
        packages: &["postgresql"],
        check: || at_least(&output(&postgres_program("postgres").to_string_lossy(), &["--version"])?, 15),
    },
];

/// To run the servers with Docker.
pub(crate) const DOCKER: [Need; 1] = [Need {
    name: "Docker engine",
    purpose: "running the servers (--infra docker)",
    packages: &[],
    check: || output("docker", &["version", "--format", "{{.Server.Version}}"]),
}];

/// To run all tests.
pub(crate) const TESTS: [Need; 5] = [
    Need {
        name: "Java compiler",
        purpose: "the test with Kafka's own client",
        packages: &["openjdk-17-jdk-headless"],
        check: || output("javac", &["-version"]),
    },
    Need {
        name: "Node",
        purpose: "the browser tests (20 or newer)",
        packages: &["nodejs", "npm"],
        check: || at_least(&output("node", &["--version"])?, 20),
    },
    Need {
        name: "npm",
        purpose: "the browser tests",
        packages: &["npm"],
        check: || output("npm", &["--version"]),
    },
    Need {
        name: "Chromium",
        purpose: "the browser tests",
        packages: &["chromium"],
        check: || output("chromium", &["--version"]),
    },
    Need {
        name: "redis-cli",
        purpose: "the tests",
        packages: &["redis-tools"],
        check: || output("redis-cli", &["--version"]),
    },
];

/// Where a program is, or that it is not.
pub(crate) fn found(program: &str) -> Result<String, String> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .map(|path| path.display().to_string())
        .ok_or_else(|| "missing".to_owned())
}

/// A program of PostgreSQL's server, which Debian keeps out of PATH.
pub(crate) fn postgres_program(name: &str) -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = installed
        .filter_map(|version| Some((version.file_name().to_str()?.parse::<u32>().ok()?, version.path())))
        .filter(|(_, path)| path.join("bin").join(name).exists())
        .max();
    newest.map_or_else(|| PathBuf::from(name), |(_, path)| path.join("bin").join(name))
}

/// The first line that a program prints.
fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output().map_err(|_| "missing".to_owned())?;
    // Java writes its version to stderr.
    let text = [output.stdout, output.stderr].concat();
    let line = String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned();
    if output.status.success() {
        Ok(line)
    } else {
        Err(if line.is_empty() { "missing".into() } else { line })
    }
}

/// `text` when the first number in it is at least `least`.
fn at_least(text: &str, least: u32) -> Result<String, String> {
    let number = text.split(|c: char| !c.is_ascii_digit()).find_map(|digits| digits.parse::<u32>().ok());
    match number {
        Some(number) if number >= least => Ok(text.to_owned()),
        _ => Err(format!("too old: {text}; {least} or newer is needed")),
    }
}

/// Makes sure that everything is there: says what is missing and why, then installs it where it
/// may, or prints the line that would.
///
/// # Errors
/// When something is missing that could not be installed.
pub(crate) fn ensure(needs: &[Need]) -> anyhow::Result<()> {
    let missing: Vec<(&Need, String)> =
        needs.iter().filter_map(|need| Some((need, need.check().err()?))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("this machine lacks:");
    for (need, why) in &missing {
        println!("  {} ({}): {why}", need.name, need.purpose);
    }
    let mut packages: Vec<&str> = missing.iter().flat_map(|(need, _)| need.packages).copied().collect();
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() || found("apt-get").is_err() {
        bail!("install these by the means of your system, then try again");
    }
    let packages: Vec<String> = packages.into_iter().map(available).collect();
    let line = format!("apt-get install --yes --no-install-recommends {}", packages.join(" "));
    let sudo = if nix::unistd::geteuid().is_root() {
        &[][..]
    } else if Command::new("sudo").args(["-n", "true"]).output().is_ok_and(|output| output.status.success()) {
        &["sudo", "-n"]
    } else {
        bail!("this takes root; run this line, then try again:\n\n    sudo {line}\n");
    };
    println!("installing: {line}");
    // Debian starts the servers that it installs; a policy keeps those that nobody asked for off.
    let script = format!(
        "set -e; policy=/usr/sbin/policy-rc.d; \
         if [ ! -e $policy ]; then printf '#!/bin/sh\\nexit 101\\n' > $policy; chmod +x $policy; \
         trap 'rm -f $policy' EXIT; fi; \
         export DEBIAN_FRONTEND=noninteractive; apt-get update -qq; {line} >&2"
    );
    let command: Vec<&str> = sudo.iter().copied().chain(["sh", "-c", &script]).collect();
    let status = Command::new(command[0]).args(&command[1..]).status().context("starting apt-get")?;
    anyhow::ensure!(status.success(), "apt-get failed ({status})");
    for (need, _) in missing {
        need.check().map_err(|why| anyhow::anyhow!("{} is still not there: {why}", need.name))?;
    }
    Ok(())
}

/// The package, or where this release has no Java 17 the Java that it has.
fn available(package: &str) -> String {
    let is_known = |name: &str| {
        // Exit code 0 and no words for a package that only others name.
        output("apt-cache", &["show", "--no-all-versions", name]).is_ok_and(|text| !text.is_empty())
    };
    match package.strip_prefix("openjdk-17-") {
        Some(part) if !is_known(package) && is_known(&format!("default-{part}")) => format!("default-{part}"),
        _ => package.to_owned(),
    }
}

/// Makes sure that there is room.
///
/// # Errors
/// When there is not.
pub(crate) fn ensure_room(folder: &Path, bytes: u64) -> anyhow::Result<()> {
    let free = free_bytes(folder)?;
    let gigabytes = |bytes: u64| format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10);
    anyhow::ensure!(
        free >= bytes,
        "the disk of {} has {} free; {} are needed: the servers stop in the middle of things on a full disk",
        folder.display(),
        gigabytes(free),
        gigabytes(bytes)
    );
    Ok(())
}

/// How many bytes are free where `folder` is.
///
/// # Errors
/// When it is not there.
pub(crate) fn free_bytes(folder: &Path) -> anyhow::Result<u64> {
    let stat = nix::sys::statvfs::statvfs(folder)?;
    Ok(stat.blocks_available() * stat.fragment_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_told_from_new_ones() {
        assert!(at_least("openjdk version \"17.0.15\" 2025-04-15", 17).is_ok());
        assert!(at_least("openjdk version \"11.0.2\"", 17).unwrap_err().contains("too old"));
        assert!(at_least("Redis server v=7.0.15 sha=00000000:0", 7).is_ok());
        assert!(at_least("v18.19.0", 20).is_err());
        assert!(at_least("nonsense", 1).is_err());
    }

    #[test]
    fn full_disk_is_told_with_figures() {
        let error = ensure_room(&std::env::temp_dir(), u64::MAX).unwrap_err().to_string();
        assert!(error.contains("GB free"), "{error}");
    }

    #[test]
    fn what_is_there_needs_no_installing() {
        let there = Need { name: "sh", purpose: "", packages: &["no-such-package"], check: || found("sh") };
        ensure(&[there]).unwrap();
        let missing = Need { name: "x", purpose: "y", packages: &[], check: || found("no-such-program") };
        assert!(ensure(&[missing]).is_err());
    }
}
