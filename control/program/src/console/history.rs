//! Lines that were entered, also by earlier consoles of the same user.
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Lines that are remembered.
const LINES_MAX: usize = 500;
/// A file with more than these is written anew, with the last of them.
const FILE_LINES_MAX: usize = 2 * LINES_MAX;
/// A larger file is none of ours.
const FILE_BYTES_MAX: u64 = 1 << 22;

/// The lines, the oldest first, and the file that has them too. Without a file they are remembered all the same.
#[derive(Debug, Default)]
pub struct History {
    lines: Vec<String>,
    file: Option<File>,
}

impl History {
    /// Reads the user's file, if it can be read, and will add to it, if it can be written.
    pub fn of_user() -> History {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
        state.map(|state| History::at(&state.join("portico/history"))).unwrap_or_default()
    }

    fn at(path: &Path) -> History {
        let lines = read(path).unwrap_or_default();
        let is_long = lines.len() > FILE_LINES_MAX;
        let lines = lines[lines.len().saturating_sub(LINES_MAX)..].to_vec();
        let file = if is_long { replace(path, &lines) } else { open(path) };
        History { lines, file: file.ok() }
    }

    /// The lines, the oldest first.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Remembers a line, unless it is blank or the last one again.
    pub fn add(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() || self.lines.last().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() >= LINES_MAX {
            self.lines.remove(0);
        }
        self.lines.push(line.into());
        // In one piece, so that the lines of two consoles do not mix. A file that takes nothing is asked no more.
        let text = format!("{line}\n");
        self.file = self.file.take().filter(|mut file| file.write_all(text.as_bytes()).is_ok());
    }
}

fn read(path: &Path) -> io::Result<Vec<String>> {
    let found = fs::metadata(path)?;
    if !found.is_file() || found.len() > FILE_BYTES_MAX {
        return Ok(Vec::new());
    }
    let text = fs::read(path)?;
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_string).collect())
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    // A pipe, say, would make the console wait.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

fn replace(path: &Path, lines: &[String]) -> io::Result<File> {
    let new = path.with_extension(std::process::id().to_string());
    let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all((lines.join("\n") + "\n").as_bytes())?;
    fs::rename(&new, path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("portico-history-{name}-{}", std::process::id()));
            fs::create_dir(&path).expect("a folder");
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn lines_are_kept_for_the_next_console_and_for_their_user_alone() {
        let folder = Folder::new("kept");
        let path = folder.0.join("state/portico/history");
        let mut history = History::at(&path);
        ["show version", "  show clock ", "show clock", " ", "show version"]
            .iter()
            .for_each(|line| history.add(line));
        let expected = ["show version", "show clock", "show version"];
        assert_eq!(history.lines(), expected);
        assert_eq!(History::at(&path).lines(), expected);
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
    }

    #[test]
    fn the_file_stays_small() {
        let folder = Folder::new("small");
        let path = folder.0.join("history");
        let mut history = History::at(&path);
        (0..=FILE_LINES_MAX).for_each(|number| history.add(&format!("line {number}")));
        assert_eq!((history.lines().len(), history.lines()[0].as_str()), (LINES_MAX, "line 501"));
        let mut history = History::at(&path);
        history.add("the last");
        let lines = read(&path).expect("the file");
        assert_eq!((lines.len(), lines[0].as_str()), (LINES_MAX + 1, "line 501"));
        assert_eq!(fs::read_dir(&folder.0).expect("the folder").count(), 1, "nothing else is left there");
        assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn without_a_file_there_is_a_history_all_the_same() {
        let folder = Folder::new("without");
        for path in [folder.0.as_path(), Path::new("/dev/full"), Path::new("/proc/none/history")] {
            let mut history = History::at(path);
            history.add("show version");
            assert_eq!(history.lines(), ["show version"], "{}", path.display());
        }
    }
}
