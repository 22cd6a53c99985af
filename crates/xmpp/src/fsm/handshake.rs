//! From connection to established: stream headers, TLS negotiation, stream restart.

use std::time::Instant;

use super::types::{CloseReason, Output, Role};
use super::{Session, State, header};
use crate::NS_TLS;
use crate::element::Element;
use crate::parser::Parser;

impl Session {
    pub(super) fn connected(&mut self, now: Instant) {
        if self.state != State::Idle {
            return self.close(CloseReason::OutOfOrder);
        }
        self.open_deadline = self.deadline(self.config.open_timeout, now);
        self.start_stream(now);
    }

    pub(super) fn tls_ready(&mut self, now: Instant) {
        if self.state != State::Handshake {
            return self.close(CloseReason::OutOfOrder);
        }
        self.secured = true;
        self.start_stream(now);
    }

    /// Begins a stream (anew after TLS): the client speaks first.
    fn start_stream(&mut self, now: Instant) {
        self.parser = Parser::new(self.config.limits);
        self.state = State::Open;
        if self.role == Role::Client {
            let text = header::open(
                &self.config.local,
                &self.config.remote,
                None,
                self.config.sub_cluster.as_deref(),
            );
            self.write(&text, now);
        }
    }

    pub(super) fn stream_open(&mut self, element: &Element, now: Instant) {
        if let Err(reason) = self.check_header(element) {
            return self.close(reason);
        }
        if self.role == Role::Server {
            let peer = self.peer.as_deref().unwrap_or_default();
            let sub_cluster = self.config.sub_cluster.as_deref();
            let text = header::open(&self.config.local, peer, Some(header::STREAM_ID), sub_cluster);
            self.write(&text, now);
        }
        if self.config.tls && !self.secured {
            if self.role == Role::Server {
                self.write(
                    &format!(
                        "<stream:features><starttls xmlns='{NS_TLS}'><required/></starttls></stream:features>"
                    ),
                    now,
                );
            }
            self.state = State::Negotiate;
        } else {
            self.establish(now);
        }
    }

    fn check_header(&mut self, element: &Element) -> Result<(), CloseReason> {
        header::check_sub_cluster(element, self.config.sub_cluster.as_deref())?;
        let name = header::peer_name(element)?;
        match &self.peer {
            Some(before) if *before != name => Err(CloseReason::BadPeerName(name)),
            _ => {
                self.peer = Some(name);
                Ok(())
            }
        }
    }

    fn establish(&mut self, now: Instant) {
        self.state = State::Established;
        self.open_deadline = None;
        self.hold_deadline = self.deadline(self.config.hold_time, now);
        self.wrote(now);
        let peer = self.peer.clone().unwrap_or_default();
        self.emit(Output::Established { peer });
    }

    /// A stanza while TLS is being negotiated.
    pub(super) fn negotiate(&mut self, element: &Element, now: Instant) {
        match (self.role, self.state, element.local_name()) {
            (Role::Server, State::Negotiate, "starttls") => {
                self.write(&format!("<proceed xmlns='{NS_TLS}'/>"), now);
                self.start_tls();
            }
            (Role::Client, State::Negotiate, "features") if element.child("starttls").is_some() => {
                self.write(&format!("<starttls xmlns='{NS_TLS}'/>"), now);
                self.state = State::Proceed;
            }
            (Role::Client, State::Proceed, "proceed") => self.start_tls(),
            (Role::Client, State::Proceed, "failure") => self.close(CloseReason::TlsRefused),
            (_, _, "error") => self.close(CloseReason::RemoteError(error_text(element))),
            _ => self.close(CloseReason::TlsMismatch),
        }
    }

    /// Nothing may follow in the clear: it would be taken for data secured by TLS.
    fn start_tls(&mut self) {
        if self.parser.has_buffered() {
            return self.close(CloseReason::UnexpectedData);
        }
        self.state = State::Handshake;
        self.emit(Output::StartTls);
    }
}

/// The condition of a stream error, cut to a printable length.
pub(super) fn error_text(element: &Element) -> String {
    let condition = element.children.first().map_or("unspecified", Element::local_name);
    condition.chars().take(64).collect()
}
