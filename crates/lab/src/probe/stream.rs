//! Streams: counted packets at a steady rate beside other steps, each one echoed by its target.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::ledger::{Ledger, Track};
use super::record::{LENGTH, Record};
use super::shot::{Sender, Shot};
use crate::file::plan::{Expect, Proto};

/// Pace of the sender: packets due since the last tick are sent together.
const TICK: Duration = Duration::from_millis(2);
/// How long after the last packet answers are waited for.
const STRAGGLERS: Duration = Duration::from_millis(1500);
/// How old a packet must be before its missing answer counts against the stream's state.
const LATENESS: Duration = Duration::from_millis(100);
/// The stretch of packets that tells whether a stream passes at present.
const WINDOW: Duration = Duration::from_millis(300);
/// How often the state of a stream is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A running stream.
#[derive(Debug)]
pub(crate) struct Stream {
    id: u64,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    trouble: Arc<Mutex<Option<String>>>,
}

/// The account of a stream that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    /// Requests that never arrived.
    pub(crate) lost_forward: u64,
    /// Longest time between two answers.
    pub(crate) longest_gap: Duration,
    pub(crate) trouble: Option<String>,
}

impl Tally {
    pub(crate) fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.answered)
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lost = self.lost();
        write!(f, "{lost} lost of {}", self.sent)?;
        if lost > 0 {
            write!(f, " ({} there, {} back)", self.lost_forward, lost.saturating_sub(self.lost_forward))?;
        }
        write!(f, ", longest gap {} ms", self.longest_gap.as_millis())?;
        match &self.trouble {
            Some(words) => write!(f, "; {words}"),
            None => Ok(()),
        }
    }
}

impl Stream {
    /// Starts sending.
    pub(crate) fn start(shot: Shot, rate: u32) -> Self {
        let (ledger, stop) = (shot.ledger.clone(), CancellationToken::new());
        let id = ledger.open();
        let trouble = Arc::new(Mutex::new(None));
        let (token, words) = (stop.clone(), trouble.clone());
        let task = tokio::spawn(async move {
            if let Err(e) = send(&shot, id, rate, &token).await {
                *words.lock().unwrap_or_else(PoisonError::into_inner) = Some(e.to_string());
            }
        });
        Self { id, ledger, stop, task, trouble }
    }

    /// Stops sending, waits for stragglers and counts.
    pub(crate) async fn finish(self) -> Tally {
        self.stop.cancel();
        let end = Instant::now() + STRAGGLERS;
        let complete = || self.ledger.look(self.id, |t| t.answered.len() == t.sent.len()).unwrap_or(true);
        while Instant::now() < end && !complete() {
            tokio::time::sleep(POLL).await;
        }
        self.task.abort();
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        tally(&self.ledger.close(self.id), trouble)
    }

    /// Waits until packets come through (or none does any more), at most `within`; returns how long it took, or none if it did not.
    pub(crate) async fn becomes(&self, expect: Expect, within: Duration) -> Option<Duration> {
        let start = Instant::now();
        loop {
            let now = Instant::now();
            let state = self.ledger.look(self.id, |t| state(t, now)).flatten();
            match (expect, state) {
                (Expect::Drop, Some(State::Stopped { last })) => {
                    let took = last.map_or(Duration::ZERO, |l| l.saturating_duration_since(start));
                    return Some(took).filter(|t| *t <= within);
                }
                (Expect::Pass, Some(State::Passing { since })) => {
                    let took = since.saturating_duration_since(start);
                    return Some(took).filter(|t| *t <= within);
                }
                _ if now > start + within + WINDOW + LATENESS * 2 => return None,
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }
}

/// How a stream does at present.
enum State {
    /// Nothing of the window arrived; the last sighting before.
    Stopped { last: Option<Instant> },
    /// All of the window was answered; the first packet of the window.
    Passing { since: Instant },
}

fn state(track: &Track, now: Instant) -> Option<State> {
    let (from, to) = (now.checked_sub(LATENESS + WINDOW)?, now.checked_sub(LATENESS)?);
    let window: Vec<(u64, Instant)> = track
        .sent
        .iter()
        .rev()
        .map(|(s, at)| (*s, *at))
        .skip_while(|(_, at)| *at > to)
        .take_while(|(_, at)| *at >= from)
        .collect();
    let first = window.last()?;
    if window.iter().all(|(s, _)| track.answered.contains_key(s)) {
        return Some(State::Passing { since: first.1 });
    }
    if window.iter().all(|(s, _)| !track.seen.contains_key(s) && !track.answered.contains_key(s)) {
        return Some(State::Stopped { last: track.seen.values().max().copied() });
    }
    None
}

fn tally(track: &Track, trouble: Option<String>) -> Tally {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let mut times: Vec<Instant> = track.answered.values().copied().collect();
    times.sort();
    let gap = times.windows(2).map(|w| w[1] - w[0]).max().unwrap_or_default();
    Tally {
        sent: count(track.sent.len()),
        answered: count(track.answered.len()),
        lost_forward: count(track.sent.keys().filter(|s| !track.seen.contains_key(s)).count()),
        longest_gap: gap,
        trouble,
    }
}

async fn send(shot: &Shot, id: u64, rate: u32, stop: &CancellationToken) -> io::Result<()> {
    match shot.probe.proto {
        Proto::Icmp => {
            pace(shot, id, rate, stop, &shot.icmp_sender()?).await;
            std::future::pending().await
        }
        Proto::Udp => udp(shot, id, rate, stop).await,
        Proto::Tcp => tcp(shot, id, rate, stop).await,
    }
}

/// Sends at the rate until told to stop. What the socket says of a single packet is no matter: it counts as sent.
async fn pace(shot: &Shot, id: u64, rate: u32, stop: &CancellationToken, sender: &Sender) {
    let start = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    let mut sequence = 0;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        // Whole packets due by now; a late tick catches up.
        let due = start.elapsed().as_micros().saturating_mul(u128::from(rate)) / 1_000_000;
        while u128::from(sequence) < due {
            let record = Record { id, sequence };
            shot.ledger.sent(record);
            let _ = sender.send(record).await;
            sequence += 1;
        }
    }
}

async fn udp(shot: &Shot, id: u64, rate: u32, stop: &CancellationToken) -> io::Result<()> {
    let socket = Arc::new(shot.udp_socket().await?);
    let receive = async {
        let mut buffer = vec![0; 65_536];
        loop {
            // An ICMP error shows up here; the stream goes on.
            let Ok(length) = socket.recv(&mut buffer).await else { continue };
            if let Some(record) = buffer.get(..length).and_then(Record::decode) {
                shot.ledger.answered(record);
            }
        }
    };
    let sending = async {
        pace(shot, id, rate, stop, &Sender::Udp { socket: socket.clone(), size: shot.size }).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = receive => Ok(()),
        () = sending => Ok(()),
    }
}

async fn tcp(shot: &Shot, id: u64, rate: u32, stop: &CancellationToken) -> io::Result<()> {
    let (mut reader, writer) = shot.connect().await?.into_split();
    let sender = Sender::Tcp(tokio::sync::Mutex::new(writer));
    let receive = async {
        let mut buffer = [0; LENGTH];
        loop {
            reader.read_exact(&mut buffer).await?;
            if let Some(record) = Record::decode(&buffer) {
                shot.ledger.answered(record);
            }
        }
    };
    let sending = async {
        pace(shot, id, rate, stop, &sender).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = receive => result,
        () = sending => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(start: Instant, sent: u64, answered: impl Fn(u64) -> bool) -> Track {
        let mut track = Track::default();
        for sequence in 0..sent {
            let at = start + Duration::from_millis(sequence * 10);
            track.sent.insert(sequence, at);
            if answered(sequence) {
                track.seen.insert(sequence, at);
                track.answered.insert(sequence, at);
            }
        }
        track
    }

    #[test]
    fn losses_are_counted_exactly() {
        let tally = tally(&track(Instant::now(), 100, |s| !(40..43).contains(&s)), None);
        assert_eq!((tally.sent, tally.lost(), tally.lost_forward), (100, 3, 3));
        assert_eq!(tally.longest_gap, Duration::from_millis(40));
    }

    #[test]
    fn the_state_follows_the_last_packets() {
        let start = Instant::now();
        let now = start + Duration::from_secs(2);
        assert!(matches!(state(&track(start, 200, |_| true), now), Some(State::Passing { .. })));
        assert!(matches!(
            state(&track(start, 200, |s| s < 100), now),
            Some(State::Stopped { last: Some(_) })
        ));
        assert!(state(&track(start, 200, |s| s < 175), now).is_none());
        assert!(state(&track(start, 0, |_| true), now).is_none());
    }
}
