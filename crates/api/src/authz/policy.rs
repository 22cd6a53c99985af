//! Mode and rules as of now: a copy of what the store says, kept current by a watch.
//!
//! The process's own writes are in the copy before they are acknowledged. What another process writes is here as soon as
//! the watch says so, and at the latest after [`REFRESH`].

use super::rbac::{Rule, RuleSet};
use super::standard::{ENTRIES, TYPE as LIST_TYPE};
use super::{AaaMode, Authz};
use crate::ApiError;
use futures::{Stream, StreamExt};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::OnceCell;
use uuid::Uuid;
use weft_model::{ObjectType, defaults};
use weft_store::{Op, Revision, Store, StoreError, Txn, WatchBatch, layout};

/// Prefix of the rows of authorisation.
const ROWS: &str = "authz/";
/// The row of the mode.
const MODE: &str = "authz/aaa-mode";
/// Rows read at a time.
const PAGE: usize = 1024;
/// Everything is read anew after this time without news.
const REFRESH: Duration = Duration::from_secs(30);
/// Wait after a failure of the store.
const RETRY: Duration = Duration::from_millis(500);
/// Merged rules kept: one for each project and domain that makes requests.
const MAX_MERGED: usize = 4096;

/// Whose rules hold: domain and project of the caller.
type Place = (Option<Uuid>, Option<Uuid>);
type Batches = std::pin::Pin<Box<dyn Stream<Item = Result<WatchBatch, StoreError>> + Send>>;

#[derive(Default)]
struct Tables {
    revision: Revision,
    mode: Option<AaaMode>,
    /// Rules by the object their list is under.
    rules: BTreeMap<Uuid, Vec<Rule>>,
    merged: HashMap<Place, Arc<RuleSet>>,
}

#[derive(Default)]
struct Shared {
    tables: RwLock<Tables>,
    /// Changes whenever mode or rules do.
    generation: AtomicU64,
}

/// The policy of a service.
#[derive(Default)]
pub(crate) struct Policy {
    configured: RwLock<Arc<Authz>>,
    shared: Arc<Shared>,
    task: OnceCell<tokio::task::JoinHandle<()>>,
}

impl Drop for Policy {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Policy {
    pub(crate) fn configured(&self) -> Arc<Authz> {
        Arc::clone(&self.configured.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn configure(&self, authz: Authz) {
        *self.configured.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(authz);
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// The mode in force. The first call reads the store and starts to follow it.
    pub(crate) async fn mode(&self, store: &Arc<dyn Store>) -> Result<AaaMode, ApiError> {
        self.start(store).await?;
        let kept = self.shared.read().mode;
        Ok(kept.unwrap_or_else(|| self.configured().mode))
    }

    /// A number that is another one after mode or rules have changed.
    pub(crate) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// The rules for callers of a domain and project: global ones, the domain's, the project's.
    pub(crate) async fn rules(
        &self,
        store: &Arc<dyn Store>,
        domain: Option<Uuid>,
        project: Option<Uuid>,
    ) -> Result<Arc<RuleSet>, ApiError> {
        self.start(store).await?;
        if let Some(set) = self.shared.read().merged.get(&(domain, project)) {
            return Ok(Arc::clone(set));
        }
        let global =
            defaults::singleton_uuid(ObjectType::GlobalSystemConfig, &defaults::global_system_config());
        let mut tables = self.shared.tables.write().unwrap_or_else(PoisonError::into_inner);
        let places = [Some(global), domain, project].into_iter().flatten();
        let rules = places.filter_map(|place| tables.rules.get(&place)).flatten();
        let set = Arc::new(RuleSet::new(rules));
        if tables.merged.len() >= MAX_MERGED {
            tables.merged.clear();
        }
        tables.merged.insert((domain, project), Arc::clone(&set));
        Ok(set)
    }

    /// Sets the mode for all services over this store, for good.
    pub(crate) async fn set_mode(&self, store: &Arc<dyn Store>, mode: AaaMode) -> Result<(), ApiError> {
        self.start(store).await?;
        store.txn(Txn::new().then(Op::put(MODE, mode.as_str()))).await?;
        Ok(self.shared.load(store.as_ref()).await?)
    }

    /// Whether a write of this key changes mode or rules.
    pub(crate) fn concerns(key: &str) -> bool {
        key.starts_with(ROWS)
            || layout::parse_object_key(key).is_some_and(|(object_type, _)| object_type == LIST_TYPE)
    }

    /// Reads mode and rules anew, after this process changed them.
    pub(crate) async fn refresh(&self, store: &Arc<dyn Store>) -> Result<(), ApiError> {
        self.start(store).await?;
        Ok(self.shared.load(store.as_ref()).await?)
    }

    async fn start(&self, store: &Arc<dyn Store>) -> Result<(), ApiError> {
        let start = || async {
            self.shared.load(store.as_ref()).await?;
            Ok::<_, StoreError>(tokio::spawn(follow(Arc::clone(&self.shared), Arc::clone(store))))
        };
        self.task.get_or_try_init(start).await?;
        Ok(())
    }
}

impl Shared {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads everything. Of several at a time the newest counts.
    async fn load(&self, store: &dyn Store) -> Result<(), StoreError> {
        let revision = store.revision().await?;
        let mode = store.get(MODE).await?.and_then(|entry| {
            let text = std::str::from_utf8(&entry.value).ok()?.parse();
            text.map_err(|error| tracing::error!(error, "stored aaa-mode is ignored")).ok()
        });
        let rules = rules(store).await?;
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        if revision < tables.revision {
            return Ok(());
        }
        if tables.mode != mode || tables.rules != rules {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        *tables = Tables { revision, mode, rules, merged: HashMap::new() };
        Ok(())
    }
}

/// Rules by the object their list is under.
async fn rules(store: &dyn Store) -> Result<BTreeMap<Uuid, Vec<Rule>>, StoreError> {
    let mut rules: BTreeMap<Uuid, Vec<Rule>> = BTreeMap::new();
    let prefix = layout::object_prefix(LIST_TYPE);
    let mut after: Option<String> = None;
    loop {
        let page = store.range(&prefix, after.as_deref(), PAGE).await?;
        for entry in &page.entries {
            let object = layout::decode(&entry.value)?;
            let (Some((_, parent)), Some(entries)) = (object.parent, object.props.get(ENTRIES)) else {
                continue;
            };
            rules.entry(parent).or_default().extend(Rule::read(entries));
        }
        after = page.entries.last().map(|entry| entry.key.clone()).or(after);
        if !page.more {
            return Ok(rules);
        }
    }
}

/// Follows the store for ever.
async fn follow(shared: Arc<Shared>, store: Arc<dyn Store>) {
    loop {
        let from = shared.read().revision;
        let ended = match news(&store, from).await {
            Ok(mut batches) => listen(&shared, &store, &mut batches).await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            tracing::warn!(%error, "authorisation rules are read anew");
            tokio::time::sleep(RETRY).await;
        }
        if let Err(error) = shared.load(store.as_ref()).await {
            tracing::warn!(%error, "authorisation rules can not be read, the last ones known hold");
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// What is written of mode and rules after a revision.
async fn news(store: &Arc<dyn Store>, from: Revision) -> Result<Batches, StoreError> {
    let rows = store.watch(ROWS, from).await?;
    let lists = store.watch(&layout::object_prefix(LIST_TYPE), from).await?;
    Ok(Box::pin(futures::stream::select(rows, lists)))
}

/// Returns when there is nothing wrong but it is time to read everything anew.
async fn listen(shared: &Shared, store: &Arc<dyn Store>, batches: &mut Batches) -> Result<(), StoreError> {
    let end = tokio::time::Instant::now() + REFRESH;
    loop {
        let batch = match tokio::time::timeout_at(end, batches.next()).await {
            Err(_) => return Ok(()),
            Ok(None) => return Err(StoreError::Unavailable("the watch ended".into())),
            Ok(Some(batch)) => batch?,
        };
        if !batch.events.is_empty() && batch.revision > shared.read().revision {
            shared.load(store.as_ref()).await?;
        }
    }
}
