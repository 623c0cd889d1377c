//! The gateway between inside and outside, whichever it is.

use crate::appliance::Appliance;
use crate::kernel_nat::KernelNat;
use crate::namespace::Namespace;
use crate::rules::Rules;
use anyhow::Result;
use std::path::Path;
use std::sync::Arc;

/// Which gateway a lab is built around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The appliance.
    Portico,
    /// The kernel's NAT, to compare with.
    Nftables,
}

/// The gateway in its namespace, with the devices `inside` and `outside`.
pub struct Gateway {
    // Fields drop in order: the program ends before its namespace goes.
    engine: Engine,
    namespace: Arc<Namespace>,
}

enum Engine {
    // Boxed for its size beside the other.
    Portico(Box<Appliance>),
    Nftables(KernelNat),
}

impl Gateway {
    /// Starts `peer` in `namespace` with these rules.
    pub fn start(peer: Peer, namespace: Namespace, directory: &Path, rules: &Rules) -> Result<Gateway> {
        let namespace = Arc::new(namespace);
        let engine = match peer {
            Peer::Portico => {
                Engine::Portico(Box::new(Appliance::start(Arc::clone(&namespace), directory, rules)?))
            }
            Peer::Nftables => Engine::Nftables(KernelNat::start(&namespace, directory, rules)?),
        };
        Ok(Gateway { engine, namespace })
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The appliance.
    ///
    /// # Panics
    /// When the gateway is the kernel's NAT: asking is a mistake of the test.
    pub fn appliance(&self) -> &Appliance {
        match &self.engine {
            Engine::Portico(appliance) => appliance,
            Engine::Nftables(_) => panic!("the gateway is the kernel's NAT, not the appliance"),
        }
    }

    /// The appliance, to stop and start it; panics as [`Gateway::appliance`] does.
    pub fn appliance_mut(&mut self) -> &mut Appliance {
        match &mut self.engine {
            Engine::Portico(appliance) => appliance,
            Engine::Nftables(_) => panic!("the gateway is the kernel's NAT, not the appliance"),
        }
    }

    /// Forgets the dynamic translations.
    pub fn clear_translations(&self) -> Result<()> {
        match &self.engine {
            Engine::Portico(appliance) => appliance.exec("clear ip nat translation *").map(drop),
            Engine::Nftables(kernel) => kernel.clear_translations(&self.namespace),
        }
    }

    /// The table of translations, in the gateway's own layout.
    pub fn translations(&self) -> Result<String> {
        match &self.engine {
            Engine::Portico(appliance) => appliance.exec("show ip nat translations"),
            Engine::Nftables(kernel) => kernel.translations(&self.namespace),
        }
    }

    /// The gateway's last words, for a failing test, with what it dropped.
    pub fn last_words(&self) -> String {
        match &self.engine {
            // It may be what failed, and not answer.
            Engine::Portico(appliance) => {
                appliance.last_words() + "\n" + &appliance.exec("show drops").unwrap_or_default()
            }
            Engine::Nftables(_) => String::new(),
        }
    }
}
