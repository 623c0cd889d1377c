//! `ip verify unicast`: checks that a route leads to the source of each packet (uRPF).

use std::fmt::{self, Display};

use dataplane::policy;

use crate::compile::compiler::Compiler;
use crate::config::builder::{Builder, Fault, Statement};
use crate::config::model::Place;
use crate::config::text::write_if;

/// `ip verify unicast source reachable-via {rx | any} [allow-default] [ACL]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCheck {
    /// Where it stands.
    pub place: Place,
    /// `any` rather than `rx`: a route out of any interface will do.
    pub any: bool,
    /// `allow-default`: the default route counts.
    pub allow_default: bool,
    /// The list of packets that pass although they fail the check. As in IOS, it is a numbered list.
    pub access_list: Option<String>,
}

pub(super) fn source_check(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let check = SourceCheck {
        place: statement.place,
        any: args.has("any"),
        allow_default: args.has("allow-default"),
        access_list: args.optional("acl"),
    };
    builder.interface().source_check = statement.sets().then_some(check);
    Ok(())
}

impl Display for SourceCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let via = if self.any { "any" } else { "rx" };
        write!(f, "ip verify unicast source reachable-via {via}")?;
        write_if(f, self.allow_default, " allow-default")?;
        self.access_list.iter().try_for_each(|list| write!(f, " {list}"))
    }
}

impl Compiler<'_> {
    pub(super) fn source_check(&self, check: &SourceCheck) -> policy::SourceCheck {
        policy::SourceCheck {
            is_strict: !check.any,
            allows_default: check.allow_default,
            acl: check.access_list.as_ref().and_then(|name| self.acl_index(name)),
        }
    }
}
