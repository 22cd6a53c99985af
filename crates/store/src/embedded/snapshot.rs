//! All entries at one revision: one read transaction, walked by a thread for blocking work.

use redb::{ReadTransaction, ReadableTable};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::tables::{DATA, State, entry, storage};
use super::{Inner, MAX_PAGE};
use crate::{Entry, EntryStream, Revision, StoreError};

/// Pages read ahead of the reader.
const AHEAD: usize = 2;
/// Bytes of keys and values after which a page ends.
const PAGE_BYTES: usize = 1 << 20;

type Page = Result<Vec<Entry>, StoreError>;

pub(super) fn start(inner: &Inner) -> Result<(Revision, EntryStream), StoreError> {
    use redb::ReadableDatabase;
    let transaction = inner.database.begin_read().map_err(storage)?;
    let revision = State::read(&transaction)?.revision;
    let (pages, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = walk(&transaction, &pages) {
            // The reader may have gone.
            let _ = pages.blocking_send(Err(error));
        }
    });
    Ok((revision, Box::pin(ReceiverStream::new(receiver))))
}

fn walk(transaction: &ReadTransaction, pages: &mpsc::Sender<Page>) -> Result<(), StoreError> {
    let data = transaction.open_table(DATA).map_err(storage)?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    for row in data.iter().map_err(storage)? {
        let (key, row) = row.map_err(storage)?;
        bytes += key.value().len() + row.value().len();
        page.push(entry(key.value(), row.value())?);
        if bytes >= PAGE_BYTES || page.len() >= MAX_PAGE {
            bytes = 0;
            if pages.blocking_send(Ok(std::mem::take(&mut page))).is_err() {
                return Ok(());
            }
        }
    }
    let _ = pages.blocking_send(Ok(page));
    Ok(())
}
