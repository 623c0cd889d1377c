//! What gateways remember of a control session between its messages.

/// A gateway's memory of one control session, of fixed size: the shard has a slot for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    #[default]
    None,
}
