//! Dialogs and registrations as people are told of them.

use super::dialog::{Dialog, Registration};
use crate::shown::{CallKind, CallState};

impl Dialog {
    /// What it is, and how far it has come.
    pub fn describe(&self) -> (CallKind, CallState) {
        if self.is_over {
            return (CallKind::Call, CallState::Ended);
        }
        let is_call = self.invitation.is_some() || self.is_established;
        match (is_call, self.is_established) {
            // What nobody answers at later has said no more than its request.
            (false, _) if self.reaches.is_empty() => (CallKind::Request, CallState::None),
            (false, _) => (CallKind::Subscription, CallState::None),
            (true, _) if self.goodbye.is_some() => (CallKind::Call, CallState::Ending),
            (true, true) => (CallKind::Call, CallState::Established),
            (true, false) => (CallKind::Call, CallState::Ringing),
        }
    }
}

impl Registration {
    /// How far it has come.
    pub fn state(&self) -> CallState {
        if self.is_granted { CallState::Registered } else { CallState::Asked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Call;

    #[test]
    fn a_call_ends_when_the_inside_host_hangs_up() {
        let mut dialog = Dialog::default();
        assert_eq!(dialog.describe(), (CallKind::Request, CallState::None));
        dialog.invitation = Some((1, true));
        assert_eq!(dialog.describe(), (CallKind::Call, CallState::Ringing));
        dialog.is_established = true;
        assert_eq!(dialog.describe(), (CallKind::Call, CallState::Established));
        dialog.goodbye = Some(2);
        assert_eq!(dialog.describe(), (CallKind::Call, CallState::Ending));
        dialog.is_over = true;
        assert_eq!(dialog.describe(), (CallKind::Call, CallState::Ended));
    }

    #[test]
    fn a_door_tells_its_line() {
        let number = Dialog::part(3, 0);
        assert_eq!(Call::media_line(CallKind::Call, number), Some((3, 1)));
        assert_eq!(Call::media_line(CallKind::Call, Dialog::part(1, 31)), Some((1, 32)));
        assert_eq!(Call::media_line(CallKind::Call, 0), None, "a door of the whole call");
        assert_eq!(Call::media_line(CallKind::Registration, number), None);
    }

    #[test]
    fn endpoints_tell_how_many_rely_on_them() {
        let of = |calls| Call::Reach { calls, forms: crate::sip::Forms::default(), ends_ms: 0 }.describe();
        assert_eq!(of(2), (CallKind::Endpoint, CallState::ReliedOn(2)));
        assert_eq!([0, 1, 2].map(|calls| of(calls).1.to_string()), ["-", "1 call", "2 calls"]);
    }
}
