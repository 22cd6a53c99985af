//! All entries at one revision: one state of memory and tables, walked by a thread for blocking work.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::layers::Walk;
use super::{Inner, MAX_PAGE};
use crate::{Entry, EntryStream, Revision, StoreError};

/// Pages read ahead of the reader.
const AHEAD: usize = 2;
/// Bytes of keys and values after which a page ends.
const PAGE_BYTES: usize = 1 << 20;

type Page = Result<Vec<Entry>, StoreError>;

pub(super) fn start(inner: &Inner) -> Result<(Revision, EntryStream), StoreError> {
    let (revision, walk) = {
        let layers = inner.layers();
        (layers.revision, layers.walk("", None, usize::MAX)?)
    };
    let (pages, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = send(walk, &pages) {
            // The reader may have gone.
            let _ = pages.blocking_send(Err(error));
        }
    });
    Ok((revision, Box::pin(ReceiverStream::new(receiver))))
}

fn send(walk: Walk, pages: &mpsc::Sender<Page>) -> Result<(), StoreError> {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for entry in walk {
        let entry = entry?;
        bytes += entry.key.len() + entry.value.len();
        page.push(entry);
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
