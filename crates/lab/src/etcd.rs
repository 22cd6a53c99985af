//! The etcd cluster of a lab whose controller keeps its configuration in one: members as child processes beside the
//! controller, on its loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::LabError;
use crate::file::plan::StoreKind;
use crate::lab::Lab;
use crate::netns::Netns;
use crate::process::{log_end, spawn};
use crate::state::MemberState;

/// Members of the cluster: one may fail.
const MEMBERS: u16 = 3;
/// Clients' port of the first member; the others' are 10 apart. Peers use the next one.
const FIRST_PORT: u16 = 2379;
/// How long a member may take until it answers.
const READY: Duration = Duration::from_secs(20);
/// How often it is asked.
const POLL: Duration = Duration::from_millis(25);

/// Names of the members a store of that kind has.
pub(crate) fn members(kind: StoreKind) -> Vec<String> {
    match kind {
        StoreKind::Embedded => Vec::new(),
        StoreKind::Etcd => (1..=MEMBERS).map(|n| format!("etcd{n}")).collect(),
    }
}

fn client_port(index: usize) -> u16 {
    (FIRST_PORT..).step_by(10).nth(index).unwrap_or(FIRST_PORT)
}

/// The store's location for the controller.
pub(crate) fn location(members: &[MemberState]) -> String {
    let endpoints = (0..members.len()).map(|index| format!("127.0.0.1:{}", client_port(index)));
    format!("etcd://{}/weft", endpoints.collect::<Vec<_>>().join(","))
}

impl Lab {
    /// Starts all members, if the lab has any, and waits until they answer.
    pub(crate) async fn start_store(&mut self) -> Result<(), LabError> {
        let names: Vec<String> = self.state.controller.store.iter().map(|m| m.name.clone()).collect();
        for name in &names {
            self.spawn_member(name)?;
        }
        for name in &names {
            self.member_answering(name).await?;
        }
        Ok(())
    }

    fn member_index(&self, name: &str) -> Result<usize, LabError> {
        let found = self.state.controller.store.iter().position(|m| m.name == name);
        found.ok_or_else(|| LabError::role(name, "no such member of the store"))
    }

    /// Starts a member; does not wait for it.
    pub(crate) fn spawn_member(&mut self, name: &str) -> Result<(), LabError> {
        let index = self.member_index(name)?;
        let directory = self.state.part("controller");
        std::fs::create_dir_all(&directory).map_err(LabError::io(&directory))?;
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let peer = |index: usize| url(client_port(index) + 1);
        let all = self.state.controller.store.iter().enumerate();
        let all: Vec<String> = all.map(|(index, m)| format!("{}={}", m.name, peer(index))).collect();
        let mut command = Command::new("etcd");
        command.args(["--name", name, "--logger", "zap", "--data-dir"]).arg(directory.join(name));
        command.args(["--listen-client-urls", &url(client_port(index))]);
        command.args(["--advertise-client-urls", &url(client_port(index))]);
        command.args(["--listen-peer-urls", &peer(index), "--initial-advertise-peer-urls", &peer(index)]);
        command.args(["--initial-cluster", &all.join(",")]);
        let namespace = Netns::new(&self.state.controller.namespace);
        let process = spawn(command, &namespace, &directory.join(format!("{name}.log"))).map_err(|e| {
            LabError::role(name, format!("{e}; etcd is needed for `store: etcd` (Debian: etcd-server)"))
        })?;
        if let Some(member) = self.state.member_mut(name) {
            member.process = Some(process);
        }
        self.state.save()
    }

    /// Waits until a member takes connections. Without the others it does not answer yet: the controller waits for that.
    pub(crate) async fn member_answering(&self, name: &str) -> Result<(), LabError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, client_port(self.member_index(name)?)));
        let namespace = Netns::new(&self.state.controller.namespace);
        let log = self.state.part("controller").join(format!("{name}.log"));
        let failed = |what: &str| {
            LabError::role(name, format!("{what}\n  {} ends with:\n{}", log.display(), log_end(&log)))
        };
        let end = Instant::now() + READY;
        while namespace.run(|| TcpStream::connect_timeout(&address, READY)).is_err() {
            if !self.state.member(name).and_then(|m| m.process).is_some_and(|p| p.alive()) {
                return Err(failed("ended"));
            }
            if Instant::now() > end {
                return Err(failed(&format!("does not answer within {} s", READY.as_secs())));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controller_is_told_all_members() {
        let members = members(StoreKind::Etcd).into_iter().map(|name| MemberState { name, process: None });
        let location = location(&members.collect::<Vec<_>>());
        assert_eq!(location, "etcd://127.0.0.1:2379,127.0.0.1:2389,127.0.0.1:2399/weft");
    }
}
