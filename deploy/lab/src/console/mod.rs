//! The console as its users have it: in tmux, and through netmiko and ssh.

mod netmiko;
mod tmux;

pub use netmiko::Netmiko;
pub use tmux::Tmux;

use crate::appliance::Appliance;

/// The command line of a console, for a shell.
pub fn command(appliance: &Appliance) -> String {
    format!("{} console --socket {}", appliance.program().display(), appliance.socket().display())
}
