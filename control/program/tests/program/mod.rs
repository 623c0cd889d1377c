//! The built program, run as an operator runs it, in a folder of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The user and group "nobody".
const NOBODY: u32 = 65_534;

/// A folder with a copy of the program that anybody may enter, removed at the end.
pub struct Scratch {
    folder: PathBuf,
}

/// How the program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status; none when a signal ended it.
    pub code: Option<i32>,
    /// What it answered.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Scratch {
    /// An empty folder.
    pub fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("portico-test-{}-{number}", std::process::id()));
        fs::create_dir(&folder).expect("a folder of the test's own");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("a folder for anybody");
        // The checkout may lie where nobody may look.
        let built = env!("CARGO_BIN_EXE_portico");
        let program = folder.join("portico");
        if fs::hard_link(built, &program).is_err() {
            fs::copy(built, &program).expect("a copy of the program");
        }
        Scratch { folder }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file, and returns its name.
    pub fn write<'n>(&self, name: &'n str, content: impl AsRef<[u8]>) -> &'n str {
        fs::write(self.path(name), content).expect("the folder can be written to");
        name
    }

    /// Runs the program in the folder without privileges.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(self.path("portico"));
        command.args(arguments).current_dir(&self.folder);
        if is_root() {
            // The standard library clears the supplementary groups too when root gives itself up.
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output().expect("the program starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Whether the test itself has privileges to give up.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(Path::new("/proc/self")).is_ok_and(|process| process.uid() == 0)
}
