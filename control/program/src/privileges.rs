//! What the program may do: to open its devices and files, what its starter may; from then on, what forwarding needs. That
//! is nothing beyond what it has open by then: see decision 21.
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::sys::prctl::set_no_new_privs;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Group, User, geteuid, setgroups, setresgid, setresuid};

/// To be called while the process has one thread: no thread of it gets more rights than it has, by whatever it runs, and no
/// file or socket it makes is another user's for a moment.
///
/// # Errors
/// When the kernel refuses.
pub fn refuse_further_ones() -> Result<()> {
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    set_no_new_privs().context("cannot give up further rights")?;
    // Who may not do this has no rights of root's that a program he runs could regain.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).unwrap_or(false) {
        caps::clear(None, CapSet::Bounding).context("cannot give up further capabilities")?;
    }
    Ok(())
}

/// The user of this name, for a process of root's to become.
///
/// # Errors
/// When there is none, or the process is not root's.
pub fn find_user(name: &str) -> Result<User> {
    if !geteuid().is_root() {
        bail!("only root can become user {name}; start as root, or without --user");
    }
    let found = User::from_name(name).with_context(|| format!("cannot look for user {name}"))?;
    found.ok_or_else(|| {
        anyhow!(
            "there is no user {name}; make one with `useradd --system {name}`, or give --user another name"
        )
    })
}

/// The group of this name.
///
/// # Errors
/// When there is none.
pub fn find_group(name: &str) -> Result<Group> {
    let found = Group::from_name(name).with_context(|| format!("cannot look for group {name}"))?;
    found.ok_or_else(|| anyhow!("there is no group {name}; make one with `groupadd --system {name}`"))
}

fn drop_root(user: &User) -> Result<(), Errno> {
    setgroups(&[])?;
    setresgid(user.gid, user.gid, user.gid)?;
    setresuid(user.uid, user.uid, user.uid)
}

/// Has every thread of the process, now and later, be this user's and no other group's than his own. A root that becomes
/// another user has no capability any more; sockets and devices that are open stay usable.
///
/// # Errors
/// When the kernel refuses.
pub fn become_user(user: &User, config_path: &Path) -> Result<()> {
    let name = &user.name;
    drop_root(user).with_context(|| format!("cannot become user {name}"))?;
    tracing::info!(mnemonic = "SYS-5-USER", "Runs as user {name} from here on");
    if let Err(error) = std::fs::File::open(config_path) {
        tracing::warn!(
            mnemonic = "PARSER-4-UNREADABLE",
            "User {name} cannot read {}: {error}; reloads will be refused until this user or its group may read it",
            config_path.display()
        );
    }
    Ok(())
}
