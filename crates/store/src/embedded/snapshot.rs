//! All entries at one revision: one state of the tables, walked by a thread for blocking work.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::tables::{entry, storage};
use super::{MAX_PAGE, View};
use crate::{Entry, EntryStream, Revision, StoreError};

/// Pages read ahead of the reader.
const AHEAD: usize = 2;
/// Bytes of keys and values after which a page ends.
const PAGE_BYTES: usize = 1 << 20;

type Page = Result<Vec<Entry>, StoreError>;

pub(super) fn start(view: Arc<View>) -> (Revision, EntryStream) {
    let revision = view.revision;
    let (pages, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = walk(&view, &pages) {
            // The reader may have gone.
            let _ = pages.blocking_send(Err(error));
        }
    });
    (revision, Box::pin(ReceiverStream::new(receiver)))
}

fn walk(view: &View, pages: &mpsc::Sender<Page>) -> Result<(), StoreError> {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for row in view.data.range::<&str>(..).map_err(storage)? {
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
