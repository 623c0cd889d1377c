//! `ip nat settings pap`: paired address pooling, and bulk port allocation.

use std::fmt::{self, Display};

use crate::config::args::Args;
use crate::config::builder::{Builder, Fault, Statement};
use crate::config::model::Place;
use crate::config::text::{write_if, write_some};

/// `ip nat settings pap [pool] [limit N] [soft] [bpa ...]`: paired address pooling: an inside address keeps one global
/// address while it has sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// Where it stands.
    pub place: Place,
    /// Whether pairing is only for rules with `overload pap`. Otherwise it is for all rules with a pool and `overload`.
    pub marked_only: bool,
    /// `limit N`: the most inside addresses that are paired with one global address.
    pub limit: u16,
    /// `soft`: an inside address whose paired one has no port left takes another.
    pub soft: bool,
    /// `bpa ...`
    pub blocks: Option<BlockAllocation>,
}

impl Pairing {
    /// The limit unless another is configured.
    pub const LIMIT_DEFAULT: u16 = 120;

    /// Pairing for every rule, without options.
    pub fn new(place: Place) -> Pairing {
        Pairing { place, marked_only: false, limit: Pairing::LIMIT_DEFAULT, soft: false, blocks: None }
    }
}

/// `bpa [set-size N] [step-size K] [single-set]`: an inside address takes its ports in sets. A set is a first port and
/// every Kth port after it, N ports in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockAllocation {
    /// Ports of a set.
    pub set_size: u16,
    /// The distance between a set's ports.
    pub step_size: u16,
    /// `single-set`: an inside address has one set at most.
    pub single_set: bool,
}

impl Default for BlockAllocation {
    fn default() -> BlockAllocation {
        BlockAllocation { set_size: 512, step_size: 8, single_set: false }
    }
}

pub(super) fn pairing(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    if args.has("pool") && args.has("bpa") {
        return Err(statement.fault("bpa", "\"bpa\" is for all pools; leave out \"pool\""));
    }
    builder.config.nat.settings.pairing = statement.sets().then(|| Pairing {
        place: statement.place,
        marked_only: args.has("pool"),
        limit: args.optional("limit").unwrap_or(Pairing::LIMIT_DEFAULT),
        soft: args.has("soft"),
        blocks: args.has("bpa").then(|| blocks(args)),
    });
    Ok(())
}

fn blocks(args: &Args) -> BlockAllocation {
    let default = BlockAllocation::default();
    BlockAllocation {
        set_size: args.optional("set-size").unwrap_or(default.set_size),
        step_size: args.optional("step-size").unwrap_or(default.step_size),
        single_set: args.has("single-set"),
    }
}

impl Display for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pap")?;
        write_if(f, self.marked_only, " pool")?;
        write_some(f, "limit", Some(self.limit).filter(|limit| *limit != Pairing::LIMIT_DEFAULT))?;
        write_if(f, self.soft, " soft")?;
        let Some(blocks) = self.blocks else { return Ok(()) };
        let default = BlockAllocation::default();
        f.write_str(" bpa")?;
        write_some(f, "set-size", Some(blocks.set_size).filter(|size| *size != default.set_size))?;
        write_some(f, "step-size", Some(blocks.step_size).filter(|size| *size != default.step_size))?;
        write_if(f, blocks.single_set, " single-set")
    }
}
