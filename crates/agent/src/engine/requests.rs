//! What other tasks may ask of the engine.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{Engine, Shared};
use crate::ports::{Port, StoreError};

/// Work for the engine.
pub type Command = Box<dyn FnOnce(&mut Engine) + Send>;

/// A way to ask the engine, and to read what it publishes.
#[derive(Clone)]
pub struct AgentHandle {
    commands: mpsc::Sender<Command>,
    /// What the engine publishes.
    pub shared: Arc<Shared>,
}

impl AgentHandle {
    /// A handle over a queue that the engine reads.
    pub fn new(commands: mpsc::Sender<Command>, shared: Arc<Shared>) -> Self {
        Self { commands, shared }
    }

    /// Have the engine do `work`. `None` when it has stopped.
    pub async fn ask<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> R + Send + 'static,
    ) -> Option<R> {
        let (sender, receiver) = oneshot::channel();
        let command: Command = Box::new(move |engine| {
            // The asker may have gone away: then nobody needs the answer.
            drop(sender.send(work(engine)));
        });
        self.commands.send(command).await.ok()?;
        receiver.await.ok()
    }
}

impl Engine {
    /// Serve a port from now on.
    ///
    /// # Errors
    /// The request cannot be honoured or remembered.
    pub fn put_port(&mut self, port: Port) -> Result<(), StoreError> {
        tracing::info!(port = %port.id, interface = port.system_name, "port added");
        let changed = self.ports.put(port)?;
        if changed {
            self.apply_kernel();
        }
        Ok(())
    }

    /// Stop serving a port and forget it. Returns whether it was known.
    ///
    /// # Errors
    /// Its file cannot be removed.
    pub fn delete_port(&mut self, id: Uuid) -> Result<bool, StoreError> {
        tracing::info!(port = %id, "port removed");
        let known = self.ports.delete(id)?;
        self.apply_kernel();
        Ok(known)
    }

    /// Serve a known port or not. `None` if it is not known.
    ///
    /// # Errors
    /// Its file cannot be written.
    pub fn enable_port(&mut self, id: Uuid, enabled: bool) -> Result<Option<()>, StoreError> {
        let known = self.ports.enable(id, enabled)?;
        self.apply_kernel();
        Ok(known.map(drop))
    }

    /// Read the port files again. Returns how many ports there are.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn reload_ports(&mut self) -> Result<usize, StoreError> {
        self.ports.reload()?;
        self.apply_kernel();
        Ok(self.ports.iter().count())
    }

    /// A port as it was asked for.
    pub fn port(&self, id: Uuid) -> Option<Port> {
        self.ports.get(id).cloned()
    }
}
