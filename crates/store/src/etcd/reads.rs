//! Reads of single keys share round trips: while a request is under way further reads collect, and the next one carries
//! them all, each key once.
//!
//! What always holds:
//! - a read is answered only by a request that was sent after it was asked, so it is as linearisable as if it went alone;
//! - a read that finds nothing under way goes at once;
//! - each read has its own patience: it is part of at least one request, and of others until one is answered or its time
//!   is over;
//! - a caller that goes away takes nothing from the others, and whoever stays is told a result.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use etcd_client::{TxnOp, TxnResponse};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use super::{Inner, connection, txn};
use crate::{Entry, StoreError};

/// Requests for reads under way at the same time.
const READERS: usize = 2;
/// Keys of one request, even if the servers take more: its answer is waited for by all who share it.
const MAX_KEYS: usize = 128;
/// Keys waited for at the same time; a caller beyond it waits for a place.
const MAX_WAITING: usize = 16 * 1024;

/// The rows of a read, in the order of its keys.
type Rows = Result<Vec<Option<Entry>>, StoreError>;

/// Keys read by one caller, and where it waits.
struct Ask {
    keys: Vec<String>,
    since: Instant,
    answer: oneshot::Sender<Rows>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Ask>,
    readers: usize,
}

/// The reads of a store that have no answer yet.
pub(super) struct Reads {
    queue: Mutex<Queue>,
    places: Semaphore,
}

impl Default for Reads {
    fn default() -> Self {
        Self { queue: Mutex::default(), places: Semaphore::new(MAX_WAITING) }
    }
}

impl Reads {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody waits for the next request.
    fn asked(&self) -> bool {
        !self.queue().waiting.is_empty()
    }
}

impl Queue {
    /// Queues a read. `true`: it needs a reader of its own.
    fn push(&mut self, ask: Ask) -> bool {
        self.waiting.push_back(ask);
        let needed = self.readers < READERS;
        self.readers += usize::from(needed);
        needed
    }

    /// Adds reads to `asks` as long as they have no more than `most` distinct keys together; the first one always fits.
    fn gather(&mut self, asks: &mut Vec<Ask>, most: usize) {
        let mut known = HashSet::new();
        let mut fitting = 0_usize;
        for ask in asks.iter().chain(&self.waiting) {
            known.extend(ask.keys.iter().map(String::as_str));
            if known.len() > most && fitting > 0 {
                break;
            }
            fitting += 1;
        }
        let more = fitting.saturating_sub(asks.len());
        asks.extend(self.waiting.drain(..more));
    }
}

impl Inner {
    /// The row of a key.
    pub(super) async fn get(self: &Arc<Self>, key: &str) -> Result<Option<Entry>, StoreError> {
        Ok(self.ask(vec![key.to_owned()]).await?.pop().flatten())
    }

    /// The rows of several keys, in their order. Of very many not all wait at once, so that others get their turn.
    pub(super) async fn get_many(self: &Arc<Self>, keys: &[String]) -> Rows {
        let mut rows = Vec::with_capacity(keys.len());
        for part in keys.chunks(self.keys_at_once()) {
            rows.extend(self.ask(part.to_vec()).await?);
        }
        Ok(rows)
    }

    fn keys_at_once(&self) -> usize {
        self.connection.options.max_ops.clamp(1, MAX_KEYS)
    }

    async fn ask(self: &Arc<Self>, keys: Vec<String>) -> Rows {
        let closed = || StoreError::Unavailable("store closed".into());
        let places = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let _places = self.reads.places.acquire_many(places).await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        let ask = Ask { keys, since: Instant::now(), answer };
        let needs_reader = self.reads.queue().push(ask);
        if needs_reader {
            tokio::spawn(Reader::new(Arc::clone(self)).run());
        }
        answered.await.map_err(|_| closed())?
    }
}

/// Sends one request after the other, as long as there are reads.
struct Reader {
    inner: Arc<Inner>,
    asks: Vec<Ask>,
    counted: bool,
}

impl Drop for Reader {
    /// Only a reader that is torn down with its runtime is still counted: those it would have served are told.
    fn drop(&mut self) {
        if self.counted {
            let mut queue = self.inner.reads.queue();
            queue.readers -= 1;
            if queue.readers == 0 {
                queue.waiting.clear();
            }
        }
    }
}

impl Reader {
    fn new(inner: Arc<Inner>) -> Self {
        Self { inner, asks: Vec::new(), counted: true }
    }

    async fn run(mut self) {
        while self.gather() {
            self.request().await;
            if self.inner.reads.asked() {
                // Those answered just now may ask for more: in the same request, if they are quick.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Takes what is to be read next. `false`: there is nothing, and this reader does not count any more.
    fn gather(&mut self) -> bool {
        self.asks.retain(|ask| !ask.answer.is_closed());
        let most = self.inner.keys_at_once();
        let mut queue = self.inner.reads.queue();
        queue.gather(&mut self.asks, most);
        if self.asks.is_empty() {
            queue.readers -= 1;
            self.counted = false;
        }
        self.counted
    }

    /// One request for everything gathered. Afterwards only those are left that may wait for another one.
    async fn request(&mut self) {
        let inner = Arc::clone(&self.inner);
        let (keys, places) = distinct(&self.asks, inner.limits.max_key);
        let reads: Vec<TxnOp> = keys.iter().map(|key| TxnOp::get(inner.data_key(key), None)).collect();
        let request = etcd_client::Txn::new().and_then(reads);
        let outcome = match inner.connection.once(async |mut kv| kv.txn(request).await).await {
            Ok(response) => inner.rows(&response, keys.len()),
            Err(error) if connection::refused(&error) => {
                Err(connection::refusal(&error, keys.len(), 0, &inner.connection.options))
            }
            Err(error) => return self.failed(&error).await,
        };
        let answers: Vec<Rows> = self.asks.iter().map(|ask| answer(ask, &outcome, &places)).collect();
        for (ask, answer) in self.asks.drain(..).zip(answers) {
            // Who does not wait any more does not care.
            let _ = ask.answer.send(answer);
        }
    }

    /// Tells those whose patience is over; the others are to be asked for again, at another member.
    async fn failed(&mut self, error: &etcd_client::Error) {
        let connection = &self.inner.connection;
        let patience = connection.options.patience;
        for ask in self.asks.extract_if(.., |ask| ask.since.elapsed() >= patience) {
            let _ = ask.answer.send(Err(StoreError::Unavailable(connection.unavailable(error))));
        }
        connection.pause(error).await;
    }
}

/// The keys of all, each once, and where they are. Longer ones than `longest` bytes are left out: nothing can be stored
/// there, and the server might refuse them, and with them everything else.
fn distinct(asks: &[Ask], longest: usize) -> (Vec<&str>, HashMap<&str, usize>) {
    let mut keys = Vec::new();
    let mut places = HashMap::new();
    for key in asks.iter().flat_map(|ask| &ask.keys).filter(|key| key.len() <= longest) {
        places.entry(key.as_str()).or_insert_with(|| {
            keys.push(key.as_str());
            keys.len() - 1
        });
    }
    (keys, places)
}

/// What of an outcome is for one caller.
fn answer(ask: &Ask, outcome: &Rows, places: &HashMap<&str, usize>) -> Rows {
    let rows = outcome.as_ref().map_err(same)?;
    let row = |key: &String| places.get(key.as_str()).and_then(|place| rows.get(*place)).cloned().flatten();
    Ok(ask.keys.iter().map(row).collect())
}

/// The same error for another caller.
fn same(error: &StoreError) -> StoreError {
    match error {
        StoreError::Refused(text) => StoreError::Refused(text.clone()),
        StoreError::Corrupt(text) => StoreError::Corrupt(text.clone()),
        StoreError::TooLarge { what, size, limit } => {
            StoreError::TooLarge { what, size: *size, limit: *limit }
        }
        StoreError::Unavailable(text) => StoreError::Unavailable(text.clone()),
        other => StoreError::Unavailable(other.to_string()),
    }
}

impl Inner {
    /// The rows in the answer to `reads` reads of one key each.
    fn rows(&self, response: &TxnResponse, reads: usize) -> Rows {
        self.connection.note(response.header())?;
        let rows = response.op_responses().into_iter().map(txn::first_row);
        let rows = rows.map(|row| row.map(|row| self.entry(&row)).transpose());
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        if rows.len() != reads {
            return Err(StoreError::Corrupt(format!("{} answers to {reads} reads", rows.len())));
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answered = oneshot::Receiver<Rows>;

    fn ask(keys: &[&str]) -> (Ask, Answered) {
        let (answer, answered) = oneshot::channel();
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        (Ask { keys, since: Instant::now(), answer }, answered)
    }

    #[test]
    fn requests_are_filled_in_order_and_keys_are_asked_once() {
        let asks = [&["a", "b"][..], &["b"], &["c", "a"], &["d"], &["a"]];
        let (asks, _answered): (Vec<Ask>, Vec<Answered>) = asks.into_iter().map(ask).unzip();
        let mut queue = Queue { waiting: asks.into(), readers: 0 };
        let mut first = Vec::new();
        queue.gather(&mut first, 3);
        assert_eq!((first.len(), queue.waiting.len()), (3, 2));
        let (keys, places) = distinct(&first, 10);
        assert_eq!(keys, ["a", "b", "c"]);
        assert_eq!((places["a"], places["c"]), (0, 2));
        // What is asked again takes along what came meanwhile, as far as there is room.
        queue.gather(&mut first, 3);
        assert_eq!((first.len(), queue.waiting.len()), (3, 2));
        queue.gather(&mut first, 4);
        assert_eq!((first.len(), queue.waiting.len()), (5, 0));
    }

    #[test]
    fn each_caller_gets_its_rows_or_the_error() {
        let (asking, _answered) = ask(&["b", "long", "a", "b"]);
        let asks = [asking];
        let (keys, places) = distinct(&asks, 3);
        assert_eq!(keys, ["b", "a"]);
        let entry = |key: &str| Entry { key: key.into(), value: "x".into(), mod_revision: 1 };
        let rows = answer(&asks[0], &Ok(vec![Some(entry("b")), None]), &places).unwrap();
        assert_eq!(rows, [Some(entry("b")), None, None, Some(entry("b"))]);
        let refused = answer(&asks[0], &Err(StoreError::Refused("no".into())), &places);
        assert!(matches!(refused, Err(StoreError::Refused(text)) if text == "no"));
    }

    #[test]
    fn readers_are_few() {
        let mut queue = Queue::default();
        let needed = (0..5).map(|_| queue.push(ask(&["a"]).0)).filter(|needed| *needed).count();
        assert_eq!((needed, queue.readers, queue.waiting.len()), (READERS, READERS, 5));
    }
}
