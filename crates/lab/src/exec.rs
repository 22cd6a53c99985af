//! Commands inside a lab, from any process.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::LabError;
use crate::state::State;
use crate::sys::OwnView;

/// A command that will run at a place of a lab: `controller`, a host or a workload. In a workload it sees the workload's
/// resolver and host name.
///
/// # Errors
/// When there is no such place.
pub fn command(state: &State, place: &str, program: &str, arguments: &[String]) -> Result<Command, LabError> {
    let mut command = Command::new(program);
    command.args(arguments).env("WEFT_LAB", &state.name).env("WEFT_LAB_PLACE", place);
    let resolv: PathBuf = state.resolv_conf(place);
    let own = state.workload(place).filter(|_| resolv.exists());
    let view = own.map(|w| OwnView { resolv_conf: &resolv, hostname: &w.name });
    state.place(place)?.enter(&mut command, view)?;
    Ok(command)
}

/// Becomes that command. Returns only when it could not be started.
pub fn replace(state: &State, place: &str, program: &str, arguments: &[String]) -> LabError {
    match command(state, place, program, arguments) {
        Ok(mut command) => LabError::role(program, command.exec().to_string()),
        Err(e) => e,
    }
}
