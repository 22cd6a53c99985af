//! The roles of a lab as child processes: the controller and each host's agent, with the command lines they are started by.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use weft_client::{Api, HttpClient};
use weft_model::defaults;

use crate::LabError;
use crate::etcd;
use crate::lab::Lab;
use crate::netns::Netns;
use crate::process::{Process, log_end, spawn};
use crate::underlay::FABRIC_INTERFACE;

/// How long a role may take until it answers.
const READY: Duration = Duration::from_secs(20);
/// How often it is asked.
const POLL: Duration = Duration::from_millis(25);

impl Lab {
    /// Makes the certificates of controller and hosts.
    pub(crate) fn make_certificates(&self) -> Result<(), LabError> {
        let authority = self.state.part("certs");
        let failed = |e: weft_tls::TlsError| LabError::role("certificates", e.to_string());
        weft_tls::make_ca(&authority).map_err(failed)?;
        let controller = ("controller", self.state.controller.address);
        let hosts = self.state.hosts.iter().map(|h| (h.name.as_str(), h.address));
        for (name, address) in std::iter::once(controller).chain(hosts) {
            weft_tls::make_node_cert(&authority, name, &[address.into()], &authority.join(name))
                .map_err(failed)?;
        }
        Ok(())
    }

    /// Starts the controller and waits until it answers.
    pub(crate) async fn start_controller(&mut self) -> Result<(), LabError> {
        let state = &self.state;
        let data = state.part("controller");
        std::fs::create_dir_all(&data).map_err(LabError::io(&data))?;
        let mut command = Command::new(&self.program);
        command.arg("controller").arg("--data-dir").arg(&data);
        command.arg("--listen-api").arg(format!("127.0.0.1:{}", defaults::API_PORT));
        command.arg("--api-socket").arg(&state.controller.socket);
        command.arg("--listen-xmpp").arg(format!("0.0.0.0:{}", defaults::XMPP_PORT));
        command.arg("--listen-dns").arg(format!("0.0.0.0:{}", defaults::DNS_PORT));
        command.arg("--listen-introspect").arg(format!("127.0.0.1:{}", defaults::CONTROL_INTROSPECT_PORT));
        command.arg("--certs").arg(state.part("certs").join("controller"));
        if !state.controller.store.is_empty() {
            command.arg("--store").arg(etcd::location(&state.controller.store));
        }
        let process = spawn(command, &Netns::new(&state.controller.namespace), &state.log("controller"))?;
        self.state.controller.process = Some(process);
        self.state.save()?;
        let http = self.api.http().clone();
        self.answering("controller", process, &http, "/").await
    }

    /// Starts the agent of a host; does not wait for it.
    pub(crate) fn spawn_agent(&mut self, host: &str) -> Result<(), LabError> {
        let unknown = || LabError::role(host, "no such host");
        let found = self.state.hosts.iter().find(|h| h.name == host).ok_or_else(unknown)?;
        let own = self.state.part(host);
        let data = own.join("state");
        std::fs::create_dir_all(&data).map_err(LabError::io(&data))?;
        std::fs::create_dir_all(&found.bpf).map_err(LabError::io(&found.bpf))?;
        let controller = self.state.controller.address;
        let mut command = Command::new(&self.program);
        command.args(["vrouter", "--name", host]);
        command.arg("--controller").arg(format!("{controller}:{}", defaults::XMPP_PORT));
        command.arg("--dns").arg(format!("{controller}:{}", defaults::DNS_PORT));
        command.args(["--fabric-interface", FABRIC_INTERFACE]);
        command.arg("--state-dir").arg(&data).arg("--bpf-dir").arg(&found.bpf);
        command.arg("--certs").arg(self.state.part("certs").join(host));
        command.arg("--listen-port-ipc").arg(format!("127.0.0.1:{}", defaults::PORT_IPC_PORT));
        command.arg("--listen-introspect").arg(format!("127.0.0.1:{}", defaults::AGENT_INTROSPECT_PORT));
        command.arg("--socket").arg(&found.socket);
        let process = spawn(command, &Netns::new(&found.namespace), &self.state.log(host))?;
        if let Some(found) = self.state.host_mut(host) {
            found.process = Some(process);
        }
        self.state.save()
    }

    /// Waits until the agent of a host answers.
    pub(crate) async fn agent_answering(&self, host: &str) -> Result<(), LabError> {
        let process = self.state.hosts.iter().find(|h| h.name == host).and_then(|h| h.process);
        let process =
            process.ok_or_else(|| LabError::role(&format!("agent of {host}"), "was not started"))?;
        let http = self.agent(host)?.clone();
        self.answering(host, process, &http, "/introspect/status").await
    }

    /// Waits until something answers at a path, as long as its process lives.
    async fn answering(
        &self,
        role: &str,
        process: Process,
        http: &HttpClient,
        path: &str,
    ) -> Result<(), LabError> {
        let end = Instant::now() + READY;
        let log = self.state.log(role);
        loop {
            let failure = match http.get(path, &[]).await {
                Ok(_) => return Ok(()),
                Err(e) => e.to_string(),
            };
            if !process.alive() {
                return Err(LabError::role(role, format!("ended\n{}", show_log(&log))));
            }
            if Instant::now() > end {
                let reason =
                    format!("does not answer within {} s: {failure}\n{}", READY.as_secs(), show_log(&log));
                return Err(LabError::role(role, reason));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

fn show_log(log: &Path) -> String {
    format!("  {} ends with:\n{}", log.display(), log_end(log))
}

/// A client of the REST API over the controller's unix socket.
pub(crate) fn api_over(socket: &Path) -> Result<Api, LabError> {
    let client = HttpClient::new(weft_client::Endpoint::Unix(socket.to_owned()));
    client.map(Api::new).map_err(LabError::client("controller"))
}
