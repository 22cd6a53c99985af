//! Running the steps of a lab and reporting what held.

mod drops;
mod expect;
mod matrix;
mod report;
mod rules;
mod steps;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::signal::unix::{SignalKind, signal};

pub use report::{PairReport, Report, StepReport};

use crate::file::plan::Plan;
use crate::progress::Progress;
use crate::{Lab, LabError};

/// What to do with the lab afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// Remove everything, whatever happened.
    Remove,
    /// Leave it up, unless it could not even be made.
    Keep,
}

/// Makes a lab, runs its steps, and removes it again. A signal (SIGINT, SIGTERM, SIGHUP) ends it early, cleanly. Returns the
/// report, and the lab when it was kept.
///
/// # Errors
/// When the lab could not be made or was interrupted; a step that does not hold is no error but in the report.
pub async fn test(
    plan: Plan,
    program: &Path,
    progress: Progress,
    afterwards: Afterwards,
) -> Result<(Report, Option<Lab>), LabError> {
    let mut lab = Lab::claim(plan, program, progress).await?;
    let work = async {
        lab.build().await?;
        Ok(steps::all(&mut lab).await)
    };
    let result = guarded(work).await;
    finish(lab, result, afterwards).await
}

/// Makes a lab and leaves it up; its steps are not run.
///
/// # Errors
/// When it could not be made, and then nothing is left of it.
pub async fn up(plan: Plan, program: &Path, progress: Progress) -> Result<Lab, LabError> {
    let mut lab = Lab::claim(plan, program, progress).await?;
    let result = guarded(lab.build()).await.map(|()| Report::default());
    match finish(lab, result, Afterwards::Keep).await? {
        (_, Some(lab)) => Ok(lab),
        (_, None) => Err(LabError::Interrupted),
    }
}

/// Runs the work until it is done or a signal comes; a panic inside becomes an error, so that cleaning up still happens.
async fn guarded<T>(work: impl Future<Output = Result<T, LabError>>) -> Result<T, LabError> {
    let interrupted = async {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let signals = kinds.into_iter().filter_map(|k| signal(k).ok());
        let waits = signals.map(|mut s| async move { s.recv().await }.boxed());
        futures::future::select_all(waits).await;
    };
    tokio::select! {
        result = AssertUnwindSafe(work).catch_unwind() => {
            result.unwrap_or_else(|_| Err(LabError::role("lab", "a fault in the lab itself, see above")))
        }
        () = interrupted => Err(LabError::Interrupted),
    }
}

async fn finish(
    mut lab: Lab,
    result: Result<Report, LabError>,
    afterwards: Afterwards,
) -> Result<(Report, Option<Lab>), LabError> {
    if let (Ok(report), Afterwards::Keep) = (&result, afterwards) {
        lab.release()?;
        return Ok((report.clone(), Some(lab)));
    }
    let (start, progress) = (Instant::now(), lab.progress);
    let removed = lab.remove().await;
    match &removed {
        Ok(()) => progress.done("everything removed", start),
        Err(e) => progress.failed(&format!("cleaning up: {e}"), start),
    }
    let report = result?;
    removed?;
    Ok((report, None))
}

/// Milliseconds of a duration.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
