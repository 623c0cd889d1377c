//! What is built on is what `deny.toml` allows: licences, versions and origins of crates; and `rust-version` is what they ask for.
//! `cargo deny` says the same of the former, and takes minutes to be built.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::semver::{Version, VersionReq};
use cargo_metadata::{Metadata, MetadataCommand, Node, Package, PackageId};
use laws::repository;
use spdx::{Expression, Licensee, ParseMode};
use toml::{Table, Value};

fn deny() -> Table {
    let text = std::fs::read_to_string(repository().join("deny.toml")).expect("deny.toml");
    text.parse().expect("TOML")
}

fn list<'a>(deny: &'a Table, section: &str, key: &str) -> impl Iterator<Item = &'a Value> {
    deny[section][key].as_array().expect("a list").iter()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// What cargo knows of the locked crates, on the targets that `deny.toml` names.
fn metadata(deny: &Table) -> Metadata {
    let targets = list(deny, "graph", "targets").map(|target| format!("--filter-platform={}", text(target)));
    let options = ["--locked".to_string(), "--offline".to_string()].into_iter().chain(targets);
    let mut command = MetadataCommand::new();
    command.manifest_path(repository().join("Cargo.toml")).other_options(options.collect::<Vec<_>>());
    command.exec().expect("the locked crates")
}

/// The crates that ours need, and ours.
fn built(metadata: &Metadata) -> Vec<&Package> {
    needed_by(metadata, metadata.workspace_members.iter().collect())
}

/// These crates and what they need, their tests included.
fn needed_by<'a>(metadata: &'a Metadata, mut unseen: Vec<&'a PackageId>) -> Vec<&'a Package> {
    let nodes = &metadata.resolve.as_ref().expect("what needs what").nodes;
    let nodes: BTreeMap<&PackageId, &Node> = nodes.iter().map(|node| (&node.id, node)).collect();
    let mut found = BTreeSet::new();
    while let Some(id) = unseen.pop() {
        if found.insert(id) {
            let needed = nodes[id].deps.iter().map(|needed| &needed.pkg);
            unseen.extend(needed.filter(|needed| is_needed(&metadata[id], nodes[id], &metadata[*needed])));
        }
    }
    found.into_iter().map(|id| &metadata[id]).collect()
}

/// Whether a crate needs another one, with the features that are asked of it. The lock also has what `name?/feature` speaks of, where
/// nothing asks for that name.
fn is_needed(package: &Package, node: &Node, other: &Package) -> bool {
    let is_asked_for = |name: &str| {
        let parts = node.features.iter().filter_map(|feature| package.features.get(&**feature)).flatten();
        parts.into_iter().any(|part| {
            part.strip_prefix("dep:") == Some(name) || part.split_once('/').is_some_and(|(of, _)| of == name)
        })
    };
    package.dependencies.iter().any(|dependency| {
        let is_other = *dependency.name == *other.name && dependency.req.matches(&other.version);
        let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
        is_other && (!dependency.optional || is_asked_for(name))
    })
}

fn is_ours(metadata: &Metadata, package: &Package) -> bool {
    metadata.workspace_members.contains(&package.id)
}

#[test]
fn licences_are_those_that_are_allowed() {
    let deny = deny();
    let allowed: Vec<Licensee> = list(&deny, "licenses", "allow")
        .map(|licence| Licensee::parse(text(licence)).expect("an SPDX licence"))
        .collect();
    let mut used = BTreeSet::new();
    let metadata = metadata(&deny);
    for package in built(&metadata) {
        let written = package.license.as_ref().unwrap_or_else(|| panic!("{} has no licence", package.name));
        let expression = Expression::parse_mode(written, ParseMode::LAX).expect("an SPDX expression");
        let is_allowed = expression.evaluate(|asked| allowed.iter().any(|licence| licence.satisfies(asked)));
        assert!(is_allowed, "the licence of {} is {written}", package.name);
        let asked = expression.requirements();
        used.extend(asked.flat_map(|asked| allowed.iter().position(|licence| licence.satisfies(&asked.req))));
    }
    assert_eq!(used.len(), allowed.len(), "licences of nothing are allowed");
}

#[test]
fn no_crate_has_two_versions_but_those_that_are_listed() {
    let deny = deny();
    let metadata = metadata(&deny);
    let mut versions: BTreeMap<&str, BTreeSet<&Version>> = BTreeMap::new();
    for package in built(&metadata) {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    let skipped = list(&deny, "bans", "skip").map(|row| {
        let (name, version) = text(&row["crate"]).split_once('@').expect("NAME@VERSION");
        (name, VersionReq::parse(version).expect("a version"))
    });
    for (name, version) in skipped {
        let of_crate = versions.get_mut(name).unwrap_or_else(|| panic!("{name} is not built"));
        let count = of_crate.len();
        of_crate.retain(|other| !version.matches(other));
        assert!(count > 1 && of_crate.len() < count, "{name}@{version} is not a second version");
    }
    versions.retain(|_, versions| versions.len() > 1);
    assert!(versions.is_empty(), "more than one version: {versions:#?}");
}

#[test]
fn crates_are_ours_or_of_the_registry() {
    let metadata = metadata(&deny());
    for package in built(&metadata) {
        let is_registered = package.source.as_ref().is_some_and(|source| source.is_crates_io());
        assert!(is_registered != is_ours(&metadata, package), "{} is from elsewhere", package.name);
    }
}

/// `deploy/setup` takes the version from `Cargo.toml`. Each of our crates says it, so that cargo refuses older compilers, and clippy what
/// is younger in the standard library (`incompatible_msrv`).
#[test]
fn rust_version_is_what_the_locked_crates_ask_for() {
    let metadata = metadata(&deny());
    let (ours, others): (Vec<_>, Vec<_>) =
        built(&metadata).into_iter().partition(|package| is_ours(&metadata, package));
    let asked = others.iter().filter_map(|package| Some((package.rust_version.as_ref()?, &package.name)));
    let (version, name) = asked.max().expect("a crate that asks for one");
    for package in ours {
        assert_eq!(package.rust_version.as_ref(), Some(version), "of {}; {name} asks for that", package.name);
    }
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("README.md");
    assert!(
        readme.contains(&format!(" Rust {}.{} or later,", version.major, version.minor)),
        "the README's differs"
    );
}

/// All others are built and tested where there is no DPDK.
#[test]
fn the_program_and_the_benches_alone_link_dpdk() {
    let metadata = metadata(&deny());
    let links =
        |id: &&PackageId| needed_by(&metadata, vec![*id]).iter().any(|package| *package.name == "dpdk-sys");
    let found: BTreeSet<&str> =
        metadata.workspace_members.iter().filter(links).map(|id| &**metadata[id].name).collect();
    assert_eq!(found, BTreeSet::from(["benches", "dataplane-dpdk", "dpdk-sys", "portico"]));
}
