//! `show startup-config`

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::answer::{Answer, Progress};
use super::command::{Command, Started, long_command};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    long_command("show startup-config", "The configuration file as it stands", show),
];

/// Bytes of a piece.
const PIECE: usize = 65_536;

/// The file, as far as it was not shown yet.
struct Text {
    /// The line before the file's own.
    first: Option<String>,
    file: BufReader<File>,
}

fn show(appliance: &mut Appliance, _: &Args) -> Started {
    let startup = appliance.operation.startup.as_ref().ok_or("% There is no file in a replay")?;
    let path = startup.path.as_path();
    let (len, file) = open(path).map_err(|error| format!("% Cannot read {}: {error}", path.display()))?;
    let first = Some(format!("! Using {len} bytes of {}\n", path.display()));
    Ok(Box::new(Text { first, file: BufReader::new(file) }))
}

fn open(path: &Path) -> std::io::Result<(u64, File)> {
    // A pipe would be waited for.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let file = File::open(path)?;
    Ok((file.metadata()?.len(), file))
}

impl Answer for Text {
    fn advance(&mut self, _: &mut Appliance) -> Progress {
        if let Some(first) = self.first.take() {
            return Progress::Piece(first);
        }
        let mut piece = Vec::new();
        while piece.len() < PIECE {
            match self.file.read_until(b'\n', &mut piece) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Progress::Refused(format!("% The file cannot be read on: {error}")),
            }
        }
        if piece.is_empty() {
            return Progress::Done;
        }
        Progress::Piece(String::from_utf8_lossy(&piece).into_owned())
    }
}
