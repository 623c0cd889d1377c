//! Shows that cases fail when the behaviour they are about is broken: applies each mutation of `mutations.txt` to a
//! copy of the committed tree, plays the case that must notice, and prints a page of results.
//!
//! `cargo run -p testkit --bin mutate [-- REQUIREMENT ...]`. It builds the data plane once for each mutation,
//! with low priority and in a temporary folder, whose target folder starts as a copy of what is built already.

#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};

/// Seconds that a case may take before it counts as one that does not end.
const PLAY_S: &str = "120";

/// A behaviour to be broken.
#[derive(Debug, Default)]
struct Mutation {
    requirement: String,
    broken: String,
    file: String,
    case: String,
    from: String,
    to: String,
}

fn main() -> ExitCode {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    match run(&chosen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("mutate: {why}");
            ExitCode::from(2)
        }
    }
}

fn run(chosen: &[String]) -> Result<bool, String> {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = kit.join("../..").canonicalize().map_err(|error| error.to_string())?;
    let mut mutations = read(&kit.join("mutations.txt"))?;
    mutations.retain(|mutation| chosen.is_empty() || chosen.contains(&mutation.requirement));
    let copy = TreeCopy::new(&repository)?;
    copy.check(&mutations)?;
    eprintln!("building the unchanged tree in {}", copy.folder.display());
    copy.build().map_err(|why| format!("the unchanged tree does not build:\n{why}"))?;
    for mutation in &mutations {
        if let Some(failure) = copy.play(&mutation.case)? {
            return Err(format!("{} fails in the unchanged tree: {failure}", mutation.case));
        }
    }
    println!("{INTRODUCTION}");
    println!("| Requirement | What is broken | In | Case | It fails with |\n|---|---|---|---|---|");
    let mut are_all_noticed = true;
    for mutation in &mutations {
        let Mutation { requirement, broken, file, case, .. } = mutation;
        let noticed = copy.try_mutation(mutation);
        are_all_noticed &= matches!(noticed, Ok(Some(_)));
        // The others are worth their time, though one is of no use as it is written.
        let verdict = noticed.unwrap_or_else(|why| {
            eprintln!("{why}");
            Some("**nothing: it is not written right**".into())
        });
        let verdict = verdict.unwrap_or("**nothing: it is not noticed**".into());
        println!("| {requirement} | {broken} | `{file}` | `{case}` | {verdict} |");
        eprintln!("{requirement}: {broken}: {verdict}");
    }
    Ok(are_all_noticed)
}

const INTRODUCTION: &str = "\
# Cases against mutations

This page is what `cargo run -p testkit --bin mutate` printed. Each behaviour was broken in a copy of the tree by one
replacement (`control/testkit/mutations.txt` has them), and the case of its requirement was played: it has to fail.
";

/// Reads the list of mutations.
fn read(path: &Path) -> Result<Vec<Mutation>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut mutations: Vec<Mutation> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').ok_or(format!("'{line}' is no line of a mutation"))?;
        let rest = rest.trim_start().to_string();
        let last = mutations.last_mut();
        match (word, last) {
            ("file", Some(mutation)) => mutation.file = rest,
            ("case", Some(mutation)) => mutation.case = rest,
            ("from", Some(mutation)) => mutation.from = rest,
            ("to", Some(mutation)) => mutation.to = rest,
            (requirement, _) => mutations.push(Mutation {
                requirement: requirement.into(),
                broken: rest,
                ..Mutation::default()
            }),
        }
    }
    Ok(mutations)
}

/// A copy of the committed tree, removed at the end.
struct TreeCopy {
    folder: PathBuf,
}

impl Drop for TreeCopy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} is left over: {error}", self.folder.display());
        }
    }
}

impl TreeCopy {
    fn new(repository: &Path) -> Result<TreeCopy, String> {
        let folder = std::env::temp_dir().join(format!("portico-mutations-{}", std::process::id()));
        fs::create_dir_all(folder.join("target/debug")).map_err(|error| error.to_string())?;
        let copy = TreeCopy { folder };
        let script = "git archive HEAD | tar -x -C \"$1\"; \
                      for part in .fingerprint build deps; do \
                      [ ! -d target/debug/$part ] || cp -a target/debug/$part \"$1/target/debug/\"; done";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(&copy.folder).current_dir(repository);
        succeed(&mut command)?;
        Ok(copy)
    }

    /// Verifies that every mutation means one place.
    fn check(&self, mutations: &[Mutation]) -> Result<(), String> {
        for Mutation { requirement, file, from, .. } in mutations {
            let text =
                fs::read_to_string(self.folder.join(file)).map_err(|error| format!("{file}: {error}"))?;
            let count = text.matches(from.as_str()).count();
            if count != 1 {
                return Err(format!("{requirement}: {file} has this {count} times: {from}"));
            }
        }
        Ok(())
    }

    fn cargo(&self) -> Command {
        let mut command = Command::new("nice");
        command.args([
            "timeout",
            "900",
            env!("CARGO"),
            "test",
            "--quiet",
            "-p",
            "dataplane",
            "--test",
            "nat_cases",
        ]);
        command
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            .stdin(Stdio::null());
        command
    }

    fn build(&self) -> Result<(), String> {
        succeed(self.cargo().arg("--no-run"))
    }

    /// Plays a case. Returns the first line of its failure, if it fails.
    fn play(&self, case: &str) -> Result<Option<String>, String> {
        let mut command = Command::new("nice");
        command.args(["timeout", PLAY_S]).arg(self.test_program()?).args(["conversations", "--exact"]);
        command
            .current_dir(self.folder.join("dataplane"))
            .env("PORTICO_CASES", Path::new("cases").join(case));
        let Output { status, stdout, stderr } = command.output().map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(None);
        }
        let said = [String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)].concat();
        let file = case.rsplit('/').next().unwrap_or(case);
        let failure = said.lines().find_map(|line| line.split_once(file).map(|(_, why)| why));
        let why = match failure {
            Some(why) => why.trim_start_matches(':').replace('|', "/"),
            None if status.code() == Some(124) => "it does not end".into(),
            None => "a panic".into(),
        };
        Ok(Some(format!("line {why}")))
    }

    /// The newest test program that was built.
    fn test_program(&self) -> Result<PathBuf, String> {
        let folder = self.folder.join("target/debug/deps");
        let entries = fs::read_dir(&folder).map_err(|error| error.to_string())?;
        let programs = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("nat_cases-") && path.extension().is_none()
        });
        let changed = |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        programs.max_by_key(changed).ok_or("no test program was built".into())
    }

    /// Breaks a behaviour, plays its case, and mends it again.
    fn try_mutation(&self, mutation: &Mutation) -> Result<Option<String>, String> {
        let path = self.folder.join(&mutation.file);
        let original = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let write = |text: &str| fs::write(&path, text).map_err(|error| error.to_string());
        write(&original.replace(&mutation.from, &mutation.to))?;
        let built =
            self.build().map_err(|why| format!("{}: this does not build:\n{why}", mutation.requirement));
        let noticed = built.and_then(|()| self.play(&mutation.case));
        write(&original)?;
        noticed
    }
}

/// Runs a command.
fn succeed(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}
