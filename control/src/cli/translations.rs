//! `show ip nat translations`

use std::collections::HashMap;
use std::sync::Arc;

use dataplane::message::{SessionCount, SessionRow, Usage, WorkerMessage};
use dataplane::policy::{RuleId, StaticRule, Statics};
use dataplane::state::wanted::Wanted;

use super::answer::{Answer, Progress};
use super::command::{Command, Started, long_command};
use super::translation_text::{HEADER, add_session, add_static};
use super::walk::{Walk, Walking};
use super::wanted::{shown, statics};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::question::Question;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    long_command(
        "show ip nat translations [ { icmp | tcp | udp | esp | gre | <protocol:1-255> } | inside <inside:address> | outside <outside:address> \
         | vrf <vrf:word> | filter range (range:address-range) | verbose | total ]*",
        "Active translations",
        show,
    ),
];

/// The table under way.
struct Table {
    wanted: Arc<Wanted>,
    is_verbose: bool,
    count: u64,
    place: Place,
}

/// How far the table is.
enum Place {
    /// At the workers' answer how many sessions each static has.
    Uses(Question<Usage>),
    /// At the sessions of the outside's statics, which inside rules made too: whose the sessions are, no table has.
    Outside(HashMap<RuleId, u32>, Walk<SessionRow>),
    /// At the header and the statics.
    Statics(HashMap<RuleId, u32>),
    /// At the workers' sessions.
    Sessions(Walk<SessionRow>),
    /// Through.
    End,
}

/// Only the number of translations.
struct Total {
    walk: Option<Walk<SessionCount>>,
    count: u64,
}

fn show(appliance: &mut Appliance, args: &Args) -> Started {
    let wanted = Arc::new(shown(appliance, args)?);
    if args.has("total") {
        let count = statics(appliance, &wanted).count() as u64;
        return Ok(Box::new(Total { walk: Some(Walk::new(wanted)), count }));
    }
    let is_verbose = args.has("verbose");
    let place = match is_verbose {
        true => Place::Uses(Question::ask(appliance, WorkerMessage::Usage)?),
        false => Place::Statics(HashMap::new()),
    };
    Ok(Box::new(Table { wanted, is_verbose, count: 0, place }))
}

fn total(count: u64) -> String {
    format!("Total number of translations: {count}\n")
}

impl Answer for Table {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        match &mut self.place {
            Place::Uses(question) => match question.poll(appliance.operation.now_ms) {
                Ok(None) => Progress::Waiting,
                Ok(Some(usages)) => {
                    let has_outside =
                        statics(appliance, &self.wanted).any(|(_, is_of_outside)| is_of_outside);
                    let uses = uses(&usages);
                    self.place = match has_outside {
                        true => Place::Outside(uses, Walk::new(Arc::default())),
                        false => Place::Statics(uses),
                    };
                    Progress::Waiting
                }
                Err(refusal) => Progress::Refused(refusal),
            },
            Place::Outside(uses, walk) => match walk.advance(appliance) {
                Walking::Waiting => Progress::Waiting,
                Walking::Rows(rows) => {
                    rows.iter().filter_map(|row| outside_static(appliance, row)).for_each(|id| {
                        *uses.entry(id).or_default() += 1;
                    });
                    Progress::Waiting
                }
                Walking::Through => {
                    self.place = Place::Statics(std::mem::take(uses));
                    Progress::Waiting
                }
                Walking::Refused(refusal) => Progress::Refused(refusal),
            },
            Place::Statics(uses) => {
                let uses = std::mem::take(uses);
                self.place = Place::Sessions(Walk::new(Arc::clone(&self.wanted)));
                Progress::Piece(self.head(appliance, &uses))
            }
            Place::Sessions(walk) => match walk.advance(appliance) {
                Walking::Waiting => Progress::Waiting,
                Walking::Rows(rows) if rows.is_empty() => Progress::Waiting,
                Walking::Rows(rows) => {
                    self.count += rows.len() as u64;
                    let mut out = String::new();
                    rows.iter().for_each(|row| add_session(appliance, row, self.is_verbose, &mut out));
                    Progress::Piece(out)
                }
                Walking::Through => {
                    self.place = Place::End;
                    // The details of the last one end with an empty line.
                    let gap = if self.is_verbose && self.count > 0 { "" } else { "\n" };
                    Progress::Piece(format!("{gap}{}", total(self.count)))
                }
                Walking::Refused(refusal) => Progress::Refused(refusal),
            },
            Place::End => Progress::Done,
        }
    }
}

impl Table {
    /// The header and the statics.
    fn head(&mut self, appliance: &Appliance, uses: &HashMap<RuleId, u32>) -> String {
        let mut out = HEADER.to_string();
        for (rule, is_of_outside) in statics(appliance, &self.wanted) {
            let use_count = self.is_verbose.then(|| uses.get(&rule.id).copied().unwrap_or_default());
            add_static(appliance, rule, is_of_outside, use_count, &mut out);
            self.count += 1;
        }
        out
    }
}

/// The static of the outside that a session's outside addresses are by, if another rule made the session.
fn outside_static(appliance: &Appliance, row: &SessionRow) -> Option<RuleId> {
    let (local, global) = (row.outside_local, row.outside_global);
    let is_its = |rule: &StaticRule| Statics::across(rule, global, rule.local) == local;
    let statics = &appliance.compiled.policy.outside_statics;
    let (_, rule) = statics.local_of(row.outside_vrf, row.protocol, global, is_its)?;
    (rule.id != row.rule).then_some(rule.id)
}

/// The sessions of each rule.
fn uses(usages: &[Usage]) -> HashMap<RuleId, u32> {
    let mut uses = HashMap::new();
    for (id, rule) in usages.iter().flat_map(|usage| &usage.rules) {
        *uses.entry(*id).or_default() += rule.session_count;
    }
    uses
}

impl Answer for Total {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        let Some(walk) = &mut self.walk else { return Progress::Done };
        match walk.advance(appliance) {
            Walking::Waiting => Progress::Waiting,
            Walking::Rows(counts) => {
                self.count += counts.iter().map(|SessionCount(count)| count).sum::<u64>();
                Progress::Waiting
            }
            Walking::Through => {
                self.walk = None;
                Progress::Piece(total(self.count))
            }
            Walking::Refused(refusal) => Progress::Refused(refusal),
        }
    }
}
