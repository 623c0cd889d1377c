//! `docs/drops.md` is the table of drop reasons. With UPDATE_DOCS=1 the page is written anew.

use std::fmt::Write;

use dataplane::drops::{Blame, DropReason, Notice};
use testkit::documents::expect_document;

#[test]
fn drops_md_is_the_table() {
    expect_document("docs/drops.md", &drops_page());
}

const INTRODUCTION: &str = "\
# Why packets are dropped

This page is generated from the table in `dataplane/src/drops.rs`; the same table feeds `show drops` and the metric
`portico_drops_total{reason,cause}`. A packet that is dropped is counted for exactly one reason.

*Cause* says where to look first. *The sender is told* names the ICMP error that goes back, at most 200 a second for each
worker and never about an ICMP error or a later fragment (RFC 1812 section 4.3.2.7); \"-\" means silence.
";

fn drops_page() -> String {
    let mut page = INTRODUCTION.to_string();
    for blame in [Blame::Policy, Blame::Capacity, Blame::Network, Blame::Sender] {
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {}: {}\n\n", blame.label(), blame.meaning());
        page += "| Reason | Meaning | The sender is told | Standard |\n|---|---|---|---|\n";
        for reason in DropReason::ALL.iter().filter(|reason| reason.blame() == blame) {
            let source = if reason.source().is_empty() { "-" } else { reason.source() };
            let (label, told) = (reason.label(), told(reason.notice()));
            let _ = writeln!(page, "| `{label}` | {} | {told} | {source} |", reason.sentence());
        }
    }
    page
}

fn told(notice: Notice) -> &'static str {
    match notice {
        Notice::Silent => "-",
        Notice::NetUnreachable => "net unreachable (3/0)",
        Notice::HostUnreachable => "host unreachable (3/1)",
        Notice::PortUnreachable => "port unreachable (3/3)",
        Notice::FragmentationNeeded => "fragmentation needed (3/4)",
        Notice::AdministrativelyProhibited => "administratively prohibited (3/13)",
        Notice::TtlExceeded => "TTL exceeded (11/0)",
    }
}
