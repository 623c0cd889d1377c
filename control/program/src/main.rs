//! The `portico` program.
#![forbid(unsafe_code)]
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use control::config::{Diagnostic, Severity, parse, parse_strictly};
use control::log::say;
use control::means::available_bytes;
use portico::refusals::{Purpose, refusals};
use portico::replay::{PortArgument, replay};
use portico::{console, exec, run, startup};

/// Carrier-grade NAT with application-layer gateways.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the appliance in the foreground; prints "ready" once it forwards. SIGHUP reloads, SIGTERM stops.
    Run {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Command socket.
        #[arg(long, default_value = SOCKET)]
        socket: PathBuf,
        /// User to become, started as root, once the devices are open.
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Group whose members may use the socket: look, change and clear.
        #[arg(long, value_name = "NAME")]
        change_group: Option<String>,
        /// Group whose members may look, on a socket beside it (portico.view.sock).
        #[arg(long, value_name = "NAME")]
        view_group: Option<String>,
    },
    /// Write the configuration's file for a running appliance, which starts this itself.
    #[command(hide = true)]
    WriteFile { file: PathBuf },
    /// Check a configuration file: errors and warnings as FILE:LINE:COLUMN.
    Check {
        /// Configuration file.
        file: PathBuf,
        /// Refuse lines of other features, which are passed over otherwise.
        #[arg(long)]
        strict: bool,
    },
    /// Have a running appliance carry out one command, such as "show ip nat translations", or those of a file.
    Exec {
        /// Command socket.
        #[arg(long, default_value = SOCKET)]
        socket: PathBuf,
        /// File of lines to carry out in one session, "-" for the standard input; the first refused one ends it.
        #[arg(short, long, value_name = "FILE", conflicts_with = "command")]
        file: Option<PathBuf>,
        /// The command.
        #[arg(required_unless_present = "file")]
        command: Option<String>,
    },
    /// Talk to a running appliance, with completion by Tab and help by "?".
    Console {
        /// Command socket.
        #[arg(long, default_value = SOCKET)]
        socket: PathBuf,
    },
    /// Feed captures through the packet path, offline and without privileges.
    Replay {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
        /// A capture to feed into an interface.
        #[arg(long = "port", value_name = "INTERFACE=FILE", required = true)]
        ports: Vec<PortArgument>,
        /// Folder for what each interface sends, INTERFACE.pcap with / as _.
        #[arg(long)]
        out: PathBuf,
        /// A command to carry out at the end.
        #[arg(long, value_name = "COMMAND")]
        show: Vec<String>,
    },
}

const SOCKET: &str = "/run/portico/portico.sock";

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run { config, socket, user, change_group, view_group } => {
            let told = run::Start {
                config: &config,
                socket: &socket,
                user: user.as_deref(),
                change_group: change_group.as_deref(),
                view_group: view_group.as_deref(),
            };
            run::run(&told).map(|()| ExitCode::SUCCESS)
        }
        Command::WriteFile { file } => startup::write_file(&file).map(|()| ExitCode::SUCCESS),
        Command::Check { file, strict } => check(&file, strict),
        Command::Exec { socket, file, command } => match file {
            Some(file) => exec::file(&socket, &file),
            None => exec::command(&socket, &command.unwrap_or_default()),
        }
        .map(exit_code),
        Command::Console { socket } => console::console(&socket).map(|()| ExitCode::SUCCESS),
        Command::Replay { config, ports, out, show } => {
            run::load(&config).and_then(|(config, _)| replay(config, &ports, &out, &show)).map(exit_code)
        }
    };
    done.unwrap_or_else(|error| {
        say(format_args!("portico: {error:#}"));
        ExitCode::FAILURE
    })
}

fn exit_code(is_done: bool) -> ExitCode {
    if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check(file: &Path, is_strict: bool) -> Result<ExitCode> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| anyhow::anyhow!("cannot read the configuration {}: {error}", file.display()))?;
    let is_error = |diagnostic: &Diagnostic| diagnostic.severity == Severity::Error;
    let read = if is_strict { parse_strictly } else { parse };
    let (found, seen) = match read(&file.display().to_string(), &text) {
        Ok(parsed) => {
            let refused = refusals(&parsed.config, Purpose::Run, available_bytes());
            let seen = parsed.seen();
            ([parsed.warnings, refused].concat(), vec![seen])
        }
        Err(found) => (found, Vec::new()),
    };
    let mut out = std::io::stdout().lock();
    // Who reads only the head of a long list closes the pipe; that is no failure of ours.
    let _ = found.iter().try_for_each(|diagnostic| writeln!(out, "{diagnostic}"));
    let severities = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let counts = severities.iter().filter_map(|(severity, name)| {
        let count = found.iter().filter(|diagnostic| diagnostic.severity == *severity).count();
        (count > 0).then(|| format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
    });
    let summary: Vec<String> = seen.into_iter().chain(counts).collect();
    let _ = writeln!(out, "{}: {}", file.display(), summary.join(", "));
    Ok(if found.iter().any(is_error) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
