//! What Redis' files can suffer.

use anyhow::Context as _;
use std::path::Path;

/// Where Redis keeps its append-only file, in its folder.
pub(crate) const AOF_FOLDER: &str = "appendonlydir";

/// Cuts the end of the newest append-only file; how many bytes went.
pub(crate) fn cut_append_only_file(folder: &Path, permille: u32) -> anyhow::Result<u64> {
    let manifest = std::fs::read_to_string(folder.join("appendonly.aof.manifest"))?;
    let newest = manifest.lines().rfind(|line| line.ends_with("type i")).context("no increments")?;
    let name = newest.split(' ').nth(1).context("a manifest without names")?;
    let file = std::fs::File::options().write(true).open(folder.join(name))?;
    let length = file.metadata()?.len();
    // At least a byte, so that the last command is torn.
    let lost = (length * u64::from(permille) / 1000).max(1).min(length);
    file.set_len(length - lost)?;
    Ok(lost)
}

/// Copies the files of a folder, in place of whatever is there.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_append_only_file_is_cut_at_its_end() {
        let folder = std::env::temp_dir().join(format!("rankstream-aof-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let manifest = "file a.base.rdb seq 1 type b\nfile a.incr.aof seq 1 type i\n";
        std::fs::write(folder.join("appendonly.aof.manifest"), manifest).unwrap();
        std::fs::write(folder.join("a.incr.aof"), [0; 1000]).unwrap();
        assert_eq!(cut_append_only_file(&folder, 100).unwrap(), 100);
        assert_eq!(cut_append_only_file(&folder, 0).unwrap(), 1);
        assert_eq!(std::fs::metadata(folder.join("a.incr.aof")).unwrap().len(), 899);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
