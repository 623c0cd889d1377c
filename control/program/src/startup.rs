//! The configuration's file. The program may write to no file once its devices are open, so a small process writes this one, and
//! no other: it is started before, and ends with the program. See decision 24.
use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use control::change::{Save, Saved};
use control::config::{Kept, rewritten};
use crossbeam::channel::{Sender, bounded};
use nix::unistd::{User, geteuid};

/// The writer of one file, to be asked for it.
pub struct Writer(Child);

impl Writer {
    /// Starts one for this file, as this user if it is to be another one.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(file: &Path, user: Option<&User>) -> Result<Writer> {
        let mut command = Command::new("/proc/self/exe");
        command.arg("write-file").arg(file);
        if let Some(user) = user {
            // Of root's groups it keeps none either.
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Ok(Writer(started.context("cannot start the process that writes the configuration's file")?))
    }

    /// Serves who wants the file written, in a thread of its own.
    ///
    /// # Errors
    /// When there can be no other thread.
    pub fn serve(mut self) -> io::Result<Sender<Save>> {
        let (sender, saves) = bounded::<Save>(1);
        std::thread::Builder::new().name("startup-file".into()).spawn(move || {
            for Save { config, known, reply } in saves {
                let (text, is_apart) = match rewritten(&known, &config) {
                    Kept::InPlace(text) => (text, false),
                    Kept::Apart(text) => (text, true),
                };
                let written = self.replace(&known, &text);
                let saved = written.map(|()| Saved { text, is_apart }).map_err(|error| format!("{error:#}"));
                let _ = reply.send(saved);
            }
        })?;
        Ok(sender)
    }

    fn replace(&mut self, known: &str, new: &str) -> Result<()> {
        let gone = "the process that writes the file is gone; a restart brings it back";
        let to = self.0.stdin.as_mut().context(gone)?;
        write!(to, "{} {}\n{known}{new}", known.len(), new.len()).and_then(|()| to.flush()).context(gone)?;
        let mut answer = String::new();
        let from = self.0.stdout.as_mut().context(gone)?;
        BufReader::new(from).read_line(&mut answer).context(gone)?;
        match answer.trim_end() {
            "ok" => Ok(()),
            "" => bail!(gone),
            why => bail!("{why}"),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Without anybody to ask it, it ends.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// What the process does: it replaces the file's text by another one, whenever it is asked and the file still has the text that
/// it should. Ends when nobody can ask any more.
///
/// # Errors
/// When what it is asked makes no sense.
pub fn write_file(path: &Path) -> Result<()> {
    let mut asked = io::stdin().lock();
    loop {
        let mut header = String::new();
        if asked.read_line(&mut header)? == 0 {
            return Ok(());
        }
        let lengths = header.trim_end().split_once(' ').context("no lengths")?;
        let mut known = vec![0; lengths.0.parse()?];
        let mut new = vec![0; lengths.1.parse()?];
        asked.read_exact(&mut known)?;
        asked.read_exact(&mut new)?;
        let answer = match replace(path, &known, &new) {
            Ok(()) => "ok".to_string(),
            Err(error) => format!("{error:#}").replace('\n', " "),
        };
        writeln!(io::stdout(), "{answer}")?;
    }
}

/// Replaces the text of a file, at once or not at all. The former one stays beside it, with `.old` behind its name.
fn replace(path: &Path, known: &[u8], new: &[u8]) -> Result<()> {
    // Where the name is a link, the file behind it is meant.
    let path = fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))?;
    let now = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    if now != known {
        bail!(
            "{} has changed since it was read; 'configure replace {0}' takes it over, and a copy of what is in force is in \
             'show running-config'",
            path.display()
        );
    }
    let with = |extension: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(extension);
        PathBuf::from(name)
    };
    let (fresh, old) = (with(".new"), with(".old"));
    let written = write_beside(&path, &fresh, &old, known, new);
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written.with_context(|| {
        format!("cannot write {}; let uid {} write to its directory", path.display(), geteuid())
    })
}

fn write_beside(path: &Path, fresh: &Path, old: &Path, known: &[u8], new: &[u8]) -> Result<()> {
    let former = fs::metadata(path)?;
    write_like(&former, old, known)?;
    write_like(&former, fresh, new)?;
    fs::rename(fresh, path)?;
    let directory = path.parent().ok_or_else(|| anyhow!("no directory"))?;
    Ok(fs::File::open(directory)?.sync_all()?)
}

/// Writes a file anew, with the rights of another one.
fn write_like(former: &fs::Metadata, path: &Path, text: &[u8]) -> io::Result<()> {
    remove(path)?;
    let mut file = fs::File::create_new(path)?;
    file.set_permissions(former.permissions())?;
    // Who may not give files away keeps it.
    let _ = chown(path, Some(former.uid()), Some(former.gid()));
    file.write_all(text)?;
    file.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("portico-startup-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a directory");
        path
    }

    #[test]
    fn a_file_is_replaced_and_the_former_one_kept() {
        let directory = directory("kept");
        let path = directory.join("portico.conf");
        fs::write(&path, "one\n").expect("written");
        replace(&path, b"one\n", b"two\n").expect("replaced");
        replace(&path, b"two\n", b"three\n").expect("replaced");
        let read = |name: &str| fs::read_to_string(directory.join(name)).expect("readable");
        assert_eq!((read("portico.conf"), read("portico.conf.old")), ("three\n".into(), "two\n".into()));
        assert_eq!(fs::read_dir(&directory).expect("readable").count(), 2);
        fs::remove_dir_all(&directory).expect("removed");
    }

    #[test]
    fn a_file_that_somebody_else_changed_is_left_alone() {
        let directory = directory("changed");
        let path = directory.join("portico.conf");
        fs::write(&path, "theirs\n").expect("written");
        let refused = replace(&path, b"ours\n", b"new\n").expect_err("it has changed");
        assert!(format!("{refused:#}").contains("has changed since it was read"), "{refused:#}");
        assert_eq!(fs::read_to_string(&path).expect("readable"), "theirs\n");
        assert_eq!(fs::read_dir(&directory).expect("readable").count(), 1);
        fs::remove_dir_all(&directory).expect("removed");
    }
}
