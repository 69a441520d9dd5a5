//! Which steps a verb takes, and which proofs a roll call asks for.

use crate::domain::{
    StepName,
    class::{Profile, RollCall},
};

/// Where a machine stands on its way, for the steps still before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Target {
    /// Not yet on the site under a number of ours.
    pub reserve: bool,
    pub clone: bool,
    pub configure: bool,
    pub resize: bool,
    pub start: bool,
    /// The roll call follows.
    pub proofs: bool,
}

impl Target {
    /// From nothing.
    pub const NEW: Self =
        Self { reserve: true, clone: true, configure: true, resize: false, start: true, proofs: true };

    pub fn steps(self, rollcall: &RollCall) -> Vec<StepName> {
        let making = [
            (self.reserve, StepName::Reserve),
            (self.clone, StepName::Clone),
            (self.configure, StepName::Configure),
            (self.resize, StepName::Resize),
            (self.start, StepName::Start),
        ];
        let proofs = if self.proofs { roll_call(rollcall) } else { Vec::new() };
        making.into_iter().filter(|(wanted, _)| *wanted).map(|(_, step)| step).chain(proofs).collect()
    }
}

/// The proofs this roll call asks for, in order; none when it is off. A command runs in the guest even
/// where the definition names none: the guest's report on itself, which `verify` and `ssh` stand on.
pub fn roll_call(rollcall: &RollCall) -> Vec<StepName> {
    if rollcall.profile == Profile::Off {
        return Vec::new();
    }
    StepName::ROLL_CALL
        .into_iter()
        .filter(|step| match step {
            StepName::Ssh => rollcall.ssh,
            _ => true,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_machine_goes_through_every_step_and_a_disk_is_grown_only_if_asked() {
        let grown = Target { resize: true, ..Target::NEW };
        assert_eq!(grown.steps(&RollCall::default()), StepName::CLASS);
        assert!(!Target::NEW.steps(&RollCall::default()).contains(&StepName::Resize));
    }

    #[test]
    fn the_roll_call_asks_only_for_the_proofs_the_profile_wants() {
        use StepName::{Address, Agent, Exec, Verify};
        let without_ssh = RollCall { ssh: false, ..RollCall::default() };
        assert_eq!(roll_call(&without_ssh), [Address, Agent, Exec, Verify]);
        let silent = RollCall { exec: Vec::new(), checks: Vec::new(), ssh: false, ..RollCall::default() };
        assert_eq!(roll_call(&silent), [Address, Agent, Exec, Verify]);
        let off = RollCall { profile: Profile::Off, ..RollCall::default() };
        assert_eq!(Target::NEW.steps(&off).last(), Some(&StepName::Start));
    }
}
