//! `weft controller`: store, REST API, control node and DNS in one process.
//!
//! One compiler, the control node's, serves both agents and the API's view of derived objects.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::{FutureExt, StreamExt};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;
use weft_api::{ApiError, ApiState, BackReference, DerivedSource, Limits, whole_bodies};
use weft_control::{CompiledView, Control, ControlConfig, Timers, introspect_router};
use weft_dns::{DnsConfig, DnsService, ZoneBuilder};
use weft_model::{FqName, Object, ObjectType, Reference};
use weft_store::pages::{self, Piece};
use weft_store::{BoxFuture, Revision, Store};

use crate::cli::{ControllerArgs, TimerArgs};
use crate::sockets::{serve_tcp, serve_unix, shutdown_signal};

/// Pause between two makings of the DNS zones.
const ZONES_PAUSE: Duration = Duration::from_millis(50);
/// How long a reader of derived objects waits for the compiler.
const COMPILER_PATIENCE: Duration = Duration::from_secs(10);
/// How long requests under way may take at the end.
const GOODBYE: Duration = Duration::from_secs(3);

pub(crate) async fn run(args: ControllerArgs) -> anyhow::Result<()> {
    let stop = shutdown_signal()?;
    let tasks = TaskTracker::new();
    let store = args.access.seal(open_store(&args).await?, &args.data_dir).await?;
    let config = ControlConfig {
        listen_xmpp: args.listen_xmpp,
        certs: if args.plain_xmpp { None } else { args.certs.clone() },
        timers: timers(&args.timers),
    };
    let (control, handle) = Control::bind(config, Arc::clone(&store)).await.context("control node")?;
    let access = args.access.access(&store, &args.data_dir).await?;
    let state = ApiState::new(Arc::clone(&store), Arc::new(Compiled(handle.compiled()))).with_access(access);
    state.set_authz(args.access.authz());
    tasks.spawn(control.run(stop.clone()));
    state.bootstrap().await.map_err(|e| anyhow::anyhow!("objects of a new installation: {e}"))?;
    let dns = DnsConfig { forwarders: args.dns_forwarder.clone(), ..DnsConfig::default() };
    let dns = DnsService::bind(args.listen_dns, dns).await.context("DNS")?;
    tasks.spawn(follow_zones(dns, Arc::clone(&store), stop.clone()));
    let api = weft_api::router(state.clone());
    let introspect = introspect_router(handle);
    // Introspection shows every tenant's networks: with tokens on, it is the administrators'.
    let introspect = whole_bodies(introspect, Limits::default().body);
    let introspect = weft_api::identity::administrators_only(introspect, state.access());
    let certs = args.certs.as_deref();
    for (address, router) in [(args.listen_api, &api), (args.listen_introspect, &introspect)] {
        let tls = args.access.tls.controller(address, certs)?;
        serve_tcp(address, router.clone(), tls, &tasks, stop.clone()).await?;
    }
    if let Some(path) = &args.api_socket {
        serve_unix(path, api.merge(introspect), &tasks, stop.clone())?;
    }
    tracing::info!(api = %args.listen_api, xmpp = %args.listen_xmpp, dns = %args.listen_dns, "controller runs");
    stop.cancelled().await;
    tasks.close();
    if tokio::time::timeout(GOODBYE, tasks.wait()).await.is_err() {
        tracing::warn!("some requests were cut off");
    }
    Ok(())
}

async fn open_store(args: &ControllerArgs) -> anyhow::Result<Arc<dyn Store>> {
    let directory = &args.data_dir;
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let own = || directory.join("weft.redb").to_string_lossy().into_owned();
    let location = args.store.clone().unwrap_or_else(own);
    let store =
        weft_store::open(&location).await.with_context(|| format!("cannot open the store {location}"))?;
    weft_store::backup::whole(&*store).await?;
    Ok(store)
}

fn timers(args: &TimerArgs) -> Timers {
    let default = Timers::default();
    let seconds = |given: Option<u64>, default: Duration| given.map_or(default, Duration::from_secs);
    Timers {
        hold: seconds(args.hold, default.hold),
        quiet: seconds(args.quiet, default.quiet),
        stale: seconds(args.stale, default.stale),
        ..default
    }
}

/// Keeps the DNS service's zones up to date with the configuration.
async fn follow_zones(dns: DnsService, store: Arc<dyn Store>, stop: CancellationToken) {
    let mut pieces = pages::follow(store);
    let mut builder = ZoneBuilder::new();
    let mut whole = false;
    while let Some(Some(piece)) = stop.run_until_cancelled(pieces.next()).await {
        let mut next = Some(piece);
        // What is there already is taken together: zones are worth making once.
        while let Some(piece) = next {
            match piece {
                Piece::Begin => (builder, whole) = (ZoneBuilder::new(), false),
                Piece::Part(changes) => builder.apply(&changes),
                Piece::End(_) => {
                    builder.compact();
                    whole = true;
                }
                Piece::Changes { changes, .. } => builder.apply(&changes),
            }
            next = pieces.next().now_or_never().flatten();
        }
        if whole {
            dns.update(builder.zones());
            let _ = stop.run_until_cancelled(tokio::time::sleep(ZONES_PAUSE)).await;
        }
    }
}

/// The control node's compiled configuration as the API wants it.
struct Compiled(CompiledView);

impl DerivedSource for Compiled {
    fn wait(&self, revision: Revision) -> BoxFuture<'_, Result<(), ApiError>> {
        Box::pin(async move {
            match tokio::time::timeout(COMPILER_PATIENCE, self.0.wait_revision(revision)).await {
                Ok(true) => Ok(()),
                _ => Err(ApiError::unavailable("derived objects are not up to date yet, try again")),
            }
        })
    }

    fn object(&self, object_type: ObjectType, uuid: Uuid) -> Option<Arc<Object>> {
        self.0.get(object_type, uuid)
    }

    fn by_name(&self, object_type: ObjectType, fq_name: &FqName) -> Option<Uuid> {
        self.0.by_name(object_type, fq_name)
    }

    fn list(&self, object_type: ObjectType) -> Vec<Arc<Object>> {
        self.0.list(object_type)
    }

    fn children(&self, parent: Uuid) -> Vec<Arc<Object>> {
        self.0.children(parent)
    }

    fn refs(&self, object_type: ObjectType, uuid: Uuid) -> Vec<(ObjectType, Reference)> {
        self.0.refs(object_type, uuid)
    }

    fn derived_referrers(&self, to: Uuid) -> Vec<BackReference> {
        self.0.derived_referrers(to)
    }

    fn stored_referrers(&self, to: Uuid) -> Vec<(ObjectType, Uuid, Option<Value>)> {
        self.0.stored_referrers(to)
    }

    fn type_of(&self, uuid: Uuid) -> Option<(ObjectType, FqName)> {
        self.0.type_of(uuid)
    }
}
